#!/usr/bin/env python3
"""Reads the chargebacks topic as anybody else would, and compares it with what stands in Postgres.

It knows the topic's name, the schemas folder, `read_committed`, and the contract of the topic: the highest
revision of a day of which all `count` rows are there is the one that holds. None of Tributary's code.

    read_chargebacks.py --bootstrap HOST:PORT --topic tributary.chargebacks --schemas schemas \\
        --tenant acme --expect chargebacks.csv

`chargebacks.csv` is what `tributary export chargebacks` wrote. Exit status: 0 equal, 1 different, 2 unusable
(no such topic, a record that does not read by the schemas, a file without the columns).
"""

import argparse
import csv
import io
import sys
import tomllib
from collections import Counter, defaultdict
from decimal import Decimal, InvalidOperation
from pathlib import Path

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

# What makes a row the same row, in both places.
COLUMNS = (
    "day",
    "env_id",
    "resource_id",
    "product_category",
    "product_type",
    "identity_id",
    "cost_type",
    "allocation_method",
    "allocation_detail",
)


class Unusable(Exception):
    """The comparison cannot be made; the text says what to do."""


class Schemas:
    """The Avro schemas by the id that stands in front of a record."""

    def __init__(self, folder):
        try:
            released = tomllib.loads((folder / "released.toml").read_text())["schema"]
            files = {s["id"]: folder / s["record"] / f"v{s['version']}.avsc" for s in released}
            self.by_id = {i: fastavro.parse_schema(fastavro.schema.load_schema(f)) for i, f in files.items()}
        except (OSError, KeyError, tomllib.TOMLDecodeError, fastavro.schema.SchemaParseException) as error:
            raise Unusable(f"--schemas {folder}: {error}; give the project's schemas folder") from error

    def read(self, payload):
        """A record in Confluent's wire format: a zero, four bytes of schema id, the datum."""
        schema = self.by_id.get(int.from_bytes(payload[1:5], "big"))
        if payload[:1] != b"\0" or schema is None:
            raise Unusable(f"a record begins with {payload[:5].hex()}, which names no released schema")
        datum = io.BytesIO(payload[5:])
        record = fastavro.schemaless_reader(datum, schema)
        if datum.read(1):
            raise Unusable("a record is longer than its schema")
        return record


def records(bootstrap, topic):
    """Key and payload of all committed records that are in the topic now."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "read-chargebacks",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "log_level": 2,  # what fails is said below, once
    }
    consumer = Consumer(settings)
    try:
        partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
        if not partitions:
            raise Unusable(f"there is no topic {topic} on {bootstrap}")
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        unread = set(partitions)
        while unread:
            message = consumer.poll(30)
            if message is None:
                raise Unusable(f"{bootstrap} has been silent for 30 s; is the broker up?")
            if message.error() is None:
                yield message.key(), message.value()
            elif message.error().code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
            else:
                raise KafkaException(message.error())
    except KafkaException as error:
        raise Unusable(f"{bootstrap}: {error}") from error
    finally:
        consumer.close()


def newest_whole(rows):
    """The rows of the highest whole revision of each day."""
    days = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        revision = days[row["day"]][row["revision"]]
        if revision.setdefault(row["ordinal"], row) != row:
            raise Unusable(f"{row['day']} revision {row['revision']}: two rows with ordinal {row['ordinal']}")
    for revisions in days.values():
        whole = [number for number, rows in revisions.items() if set(rows) == set(range(next(iter(rows.values()))["count"]))]
        if whole:
            yield from revisions[max(whole)].values()


def from_topic(args):
    """Rows and their amounts, as the topic says."""
    schemas, tenant_rows = Schemas(args.schemas), []
    for key, payload in records(args.bootstrap, args.topic):
        row = schemas.read(payload)
        if key.decode() != f"{row['tenant']}/{row['day']}":
            raise Unusable(f"a record of {row['tenant']}/{row['day']} has the key {key!r}")
        if row["tenant"] == args.tenant:
            tenant_rows.append(row)
    for row in newest_whole(tenant_rows):
        yield tuple(str(row[c] if row[c] is not None else "") for c in COLUMNS), row["amount"]


def from_csv(args):
    """Rows and their amounts, as exported from Postgres."""
    try:
        with args.expect.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["tenant_id"] == args.tenant:
                    yield (row["timestamp"][:10], *(row[c] for c in COLUMNS[1:])), Decimal(row["amount"])
    except (OSError, KeyError, InvalidOperation) as error:
        raise Unusable(f"--expect {args.expect}: {error!r}; give what `tributary export chargebacks` wrote") from error


def differences(topic, table):
    """One sentence for each row that is not the same in both."""
    by_key = defaultdict(lambda: ([], []))
    for side, rows in enumerate((topic - table, table - topic)):
        for (key, amount), times in rows.items():
            by_key[key][side].extend([amount] * times)
    for key, (here, there) in sorted(by_key.items()):
        amounts = [" + ".join(f"{a:f}" for a in sorted(side)) or "no row" for side in (here, there)]
        yield f"{' '.join(part or '-' for part in key)}: topic {amounts[0]}, table {amounts[1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap", required=True, help="HOST:PORT of a broker")
    parser.add_argument("--topic", required=True, help="name of the chargebacks topic, prefix included")
    parser.add_argument("--schemas", required=True, type=Path, help="the project's schemas folder")
    parser.add_argument("--tenant", required=True, help="tenant_id")
    parser.add_argument("--expect", required=True, type=Path, help="CSV of `tributary export chargebacks`")
    args = parser.parse_args()
    try:
        topic, table = Counter(from_topic(args)), Counter(from_csv(args))
    except Unusable as error:
        print(f"read_chargebacks: {error}", file=sys.stderr)
        return 2
    found = list(differences(topic, table))
    if not found and not topic:
        print(f"read_chargebacks: no rows of tenant {args.tenant} in either; nothing is compared", file=sys.stderr)
        return 2
    if found:
        print(f"{len(found)} differences between {topic.total()} rows of the topic and {table.total()} of the table:")
        print("\n".join(found[:20]))
        return 1
    total = sum(amount * times for (_, amount), times in topic.items())
    print(f"{topic.total()} rows, {total:f} in all: the topic and the table are equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
