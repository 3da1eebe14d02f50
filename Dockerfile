# syntax=docker/dockerfile:1
# The program alone, for use with a Kafka and a Postgres of your own: docker-compose.yml shows how.

FROM rust:1.95-bookworm AS build
# OpenSSL and librdkafka are built from source and linked in.
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ make perl \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --bin tributary \
 && cp target/release/tributary /usr/local/bin/tributary

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --create-home --home-dir /var/lib/tributary --uid 10001 tributary
COPY --from=build /usr/local/bin/tributary /usr/local/bin/tributary
USER tributary
WORKDIR /var/lib/tributary
ENTRYPOINT ["tributary"]
CMD ["--help"]
