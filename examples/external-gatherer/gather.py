#!/usr/bin/env python3
"""A gatherer of somebody's own: writes the days of two CSV files into Tributary's fact topics.

It stands on the contract of docs/src/external-gatherers.md alone: the topics, the Avro schemas, the key, one
transaction for each day. None of Tributary's code.

    tributary rules show --config tributary.yaml --tenant lab > rules.json
    gather.py --bootstrap HOST:PORT --prefix tributary. --schemas ../../schemas --tenant lab \\
        --rules rules.json --costs costs.csv --usage usage.csv

Days that did not change since they were last sealed are not written again. Exit status: 0 done, 2 unusable input.
"""

import argparse
import csv
import hashlib
import io
import json
import sys
import tomllib
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

ECOSYSTEM = "lab"
# Topic to record, in the order they are written: the seal last.
TOPICS = {
    "billing": "billing-line",
    "resources": "resource",
    "identities": "identity",
    "metrics": "metric-value",
    "days": "day-sealed",
}


class Unusable(Exception):
    """The days cannot be written; the text says what to do."""


class Schemas:
    """The newest schema of each record, and all of them by the id that stands in front of a record."""

    def __init__(self, folder):
        self.newest, self.by_id = {}, {}
        for entry in tomllib.loads((folder / "released.toml").read_text())["schema"]:
            file = folder / entry["record"] / f"v{entry['version']}.avsc"
            schema = fastavro.parse_schema(fastavro.schema.load_schema(file))
            self.by_id[entry["id"]] = schema
            if entry["version"] >= self.newest.get(entry["record"], (0,))[0]:
                self.newest[entry["record"]] = (entry["version"], entry["id"], schema)

    def write(self, record, value):
        """A record in Confluent's wire format: a zero, four bytes of schema id, the datum."""
        _, number, schema = self.newest[record]
        datum = io.BytesIO()
        fastavro.schemaless_writer(datum, schema, value)
        return b"\0" + number.to_bytes(4, "big") + datum.getvalue()

    def read(self, payload):
        schema = self.by_id.get(int.from_bytes(payload[1:5], "big"))
        return fastavro.schemaless_reader(io.BytesIO(payload[5:]), schema) if schema else None


def sealed(args, schemas):
    """The last revision of each of the tenant's days and its digest: what the log remembers for us."""
    topic = f"{args.prefix}days"
    consumer = Consumer({
        "bootstrap.servers": args.bootstrap,
        "group.id": f"{args.prefix}gather-{args.tenant}",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    })
    known = {}
    try:
        partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
        if not partitions:
            raise Unusable(f"there is no topic {topic}: run `tributary topology apply` first")
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        unread = set(partitions)
        while unread:
            message = consumer.poll(30)
            if message is None:
                raise Unusable(f"{args.bootstrap} has been silent for 30 s; is the broker up?")
            if message.error() is None:
                seal = schemas.read(message.value()) if message.value() else None
                if seal and seal["tenant"] == args.tenant and seal["revision"] > known.get(seal["day"], (0,))[0]:
                    known[seal["day"]] = (seal["revision"], seal["digest"])
            elif message.error().code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
            else:
                raise KafkaException(message.error())
    finally:
        consumer.close()
    return known


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def read_days(args):
    """What was charged and used, by day."""
    days = defaultdict(lambda: {"billing": [], "metrics": [], "people": set(), "machines": {}})
    for row in rows(args.costs):
        day = days[date.fromisoformat(row["day"])]
        day["billing"].append(row)
        day["machines"][row["resource_id"]] = row.get("owner") or None
    for row in rows(args.usage):
        day = days[date.fromisoformat(row["day"])]
        day["metrics"].append(row)
        day["people"].add(row["principal"])
    return days


def records(tenant, day, revision, content):
    """The records of a day without its seal, each with its place among its kind and the kind's count."""
    start = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    common = {"tenant": tenant, "day": day, "revision": revision, "ecosystem": ECOSYSTEM}
    found = {
        "billing": [
            {
                "env_id": "",
                "resource_id": row["resource_id"],
                "product_category": "LAB",
                "product_type": row["product_type"],
                "quantity": Decimal(row["quantity"]),
                "unit_price": Decimal(0),
                "amount": Decimal(row["amount"]),
                "currency": row["currency"],
                "granularity": "daily",
                "period_start": start,
                "period_end": start + timedelta(days=1),
                "evidence": [json.dumps(row, sort_keys=True)],
            }
            for row in content["billing"]
        ],
        "resources": [
            {"resource_id": machine, "resource_type": "machine", "owner_id": owner, "attributes": {}}
            for machine, owner in sorted(content["machines"].items())
        ],
        "identities": [
            {"identity_id": person, "identity_type": "principal", "attributes": {}} for person in sorted(content["people"])
        ],
        "metrics": [
            {
                "resource_id": row["resource_id"],
                "metric": row["metric"],
                "subject_type": "principal",
                "subject": row["principal"],
                "value": float(row["value"]),
            }
            for row in content["metrics"]
        ],
    }
    for kind, of_kind in found.items():
        for ordinal, record in enumerate(of_kind):
            record.update(common, ordinal=ordinal, count=len(of_kind))
    return found


def digest_of(content, rules):
    """Equal content has an equal digest, whatever its order."""
    lines = sorted(json.dumps(row, sort_keys=True) for kind in ("billing", "metrics") for row in content[kind])
    return hashlib.sha256("\n".join([*lines, rules]).encode()).hexdigest()


def gather(args):
    schemas = Schemas(args.schemas)
    rules = json.dumps(json.loads(args.rules.read_text()), separators=(",", ":"))
    known, failures = sealed(args, schemas), []
    producer = Producer({
        "bootstrap.servers": args.bootstrap,
        # One gatherer for a tenant: a second one fences the first.
        "transactional.id": f"{args.prefix}gather-{args.tenant}",
        # The partitioner of Java, ksqlDB and Tributary: a day lies in the same partition of every topic.
        "partitioner": "murmur2_random",
        "compression.type": "zstd",
    })
    producer.init_transactions(30)
    written = 0
    for day, content in sorted(read_days(args).items()):
        before, last = known.get(day, (0, None))
        digest = digest_of(content, rules)
        if digest == last:
            continue
        facts = records(args.tenant, day, before + 1, content)
        seal = {
            "tenant": args.tenant,
            "day": day,
            "revision": before + 1,
            "ecosystem": ECOSYSTEM,
            "billing_lines": len(facts["billing"]),
            "resources": len(facts["resources"]),
            "identities": len(facts["identities"]),
            "metrics": len(facts["metrics"]),
            "digest": digest,
            "rules": rules,
            "metrics_failed": [],
            "quarantined": 0,
            "reason": "bill" if before else "new",
            "gathered_at": datetime.now(timezone.utc),
        }
        key = f"{args.tenant}/{day}".encode()
        producer.begin_transaction()
        for topic, record in TOPICS.items():
            for value in [seal] if topic == "days" else facts[topic]:
                payload = schemas.write(record, value)
                producer.produce(
                    args.prefix + topic,
                    key=key,
                    value=payload,
                    on_delivery=lambda error, _: error and failures.append(error),
                )
                producer.poll(0)
        # Records of a transaction that fails are seen by nobody.
        producer.commit_transaction(60)
        if failures:
            raise KafkaException(failures[0])
        written += 1
    print(f"{written} days written, {len(known)} known before")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap", required=True, help="HOST:PORT of a broker")
    parser.add_argument("--prefix", required=True, help="what stands before each topic's name, as `topics.prefix`")
    parser.add_argument("--schemas", required=True, type=Path, help="the project's schemas folder")
    parser.add_argument("--tenant", required=True, help="tenant_id")
    parser.add_argument("--rules", required=True, type=Path, help="what `tributary rules show` printed")
    parser.add_argument("--costs", required=True, type=Path, help="CSV: day, resource_id, owner, product_type, quantity, amount, currency")
    parser.add_argument("--usage", required=True, type=Path, help="CSV: day, resource_id, metric, principal, value")
    try:
        gather(parser.parse_args())
    except (Unusable, OSError, KeyError, ValueError, InvalidOperation, KafkaException) as error:
        print(f"gather: {error!r}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
