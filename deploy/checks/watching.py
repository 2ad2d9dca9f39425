"""Reads every PromQL expression of the dashboards with Prometheus' own grammar, and every YAML file that watches."""

import json
import sys
from pathlib import Path

import promql_parser
import yaml

FOLDER = Path(__file__).parent.parent

problems = []
read = 0


def expressions(panel):
    for target in panel.get("targets", []):
        yield panel["title"], target["expr"]
    for inner in panel.get("panels", []):
        yield from expressions(inner)


for path in sorted((FOLDER / "grafana/dashboards").glob("*.json")):
    for panel in json.loads(path.read_text())["panels"]:
        for title, expression in expressions(panel):
            try:
                # Grafana puts a duration here before it asks.
                promql_parser.parse(expression.replace("$__rate_interval", "5m"))
                read += 1
            except ValueError as error:
                problems.append(f"{path.name}: {title}: {expression}: {error}")

sources = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
uids = {source["uid"] for source in sources}
for path in sorted((FOLDER / "grafana/dashboards").glob("*.json")):
    for panel in json.loads(path.read_text())["panels"]:
        if panel["type"] != "row" and panel["datasource"]["uid"] not in uids:
            problems.append(f"{path.name}: {panel['title']}: nobody provisions the data source {panel['datasource']['uid']}")

jobs = [job["job_name"] for job in yaml.safe_load((FOLDER / "prometheus/prometheus.yml").read_text())["scrape_configs"]]
for job in ("producer", "worker", "rabbitmq", "rabbitmq-queues"):
    if job not in jobs:
        problems.append(f"prometheus.yml does not scrape {job}")
yaml.safe_load((FOLDER / "grafana/provisioning/dashboards/otodoke.yml").read_text())

if problems:
    sys.exit("\n".join(problems))
print(f"dashboards: {read} expressions are PromQL; {len(jobs)} jobs are scraped")
