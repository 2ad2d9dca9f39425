"""Holds the Kubernetes manifests against their schemas, strictly, and against each other.

Kubernetes' own kinds are judged by the schemas that kubernetes-validate ships; KEDA's by keda.schema.json beside this
file. What no schema sees is checked here: that every name a manifest refers to is there.
"""

import json
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

# The oldest and the newest Kubernetes we say yes to.
KUBERNETES = ("1.31", "1.37")
HERE = Path(__file__).parent
FOLDER = HERE.parent / "kubernetes"

problems = []


def documents(path):
    return [each for each in yaml.safe_load_all(path.read_text()) if each is not None]


def check_schema(path, document):
    name = f"{path.relative_to(FOLDER)}: {document['kind']} {document['metadata']['name']}"
    if document["apiVersion"].startswith("keda.sh/"):
        try:
            jsonschema.validate(document["spec"], KEDA[document["kind"]])
        except jsonschema.ValidationError as error:
            problems.append(f"{name}: {error.json_path}: {error.message}")
        return
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{name}: Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}")


def check_program(deployment, names):
    """What every program of ours must have, and that what it mounts exists."""
    name = deployment["metadata"]["name"]
    pod = deployment["spec"]["template"]["spec"]
    if deployment["spec"]["selector"]["matchLabels"] != deployment["spec"]["template"]["metadata"]["labels"]:
        problems.append(f"{name}: the selector does not find its own pods")
    if pod.get("enableServiceLinks") is not False:
        problems.append(f"{name}: variables made of Services could be taken for settings; enableServiceLinks must be false")
    for container in pod["containers"]:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe not in container:
                problems.append(f"{name}: has no {probe}")
        if container["readinessProbe"]["httpGet"]["path"] != "/readyz":
            problems.append(f"{name}: is ready when /readyz says so, and never otherwise")
        if container["image"] not in names["images"]:
            problems.append(f"{name}: kustomization.yaml names no registry for {container['image']}")
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        if mounted != {volume["name"] for volume in pod["volumes"]}:
            problems.append(f"{name}: mounts and volumes differ")
    for volume in pod["volumes"]:
        if "configMap" in volume and volume["configMap"]["name"] not in names["settings"]:
            problems.append(f"{name}: nothing makes the ConfigMap {volume['configMap']['name']}")


def check_names(kustomization, found):
    names = {
        "images": {image["name"] for image in kustomization["images"]},
        "settings": {generator["name"] for generator in kustomization["configMapGenerator"]},
    }
    for generator in kustomization["configMapGenerator"]:
        for file in generator["files"]:
            if not (FOLDER / file).exists():
                problems.append(f"kustomization.yaml: {file} is not there")
    deployments = [each for each in found if each["kind"] == "Deployment"]
    labels = {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"] for each in deployments}
    if set(labels) != {"producer", "worker"}:
        problems.append(f"the programs are {sorted(labels)}, not producer and worker")
    for deployment in deployments:
        check_program(deployment, names)
    authentications = {each["metadata"]["name"] for each in found if each["kind"] == "TriggerAuthentication"}
    for each in found:
        name, spec = each["metadata"]["name"], each.get("spec", {})
        if each["kind"] in ("Service", "PodDisruptionBudget"):
            selector = spec["selector"].get("matchLabels", spec["selector"])
            if selector not in labels.values():
                problems.append(f"{each['kind']} {name}: its selector finds no program")
        if each["kind"] in ("ScaledObject", "HorizontalPodAutoscaler") and spec["scaleTargetRef"]["name"] not in labels:
            problems.append(f"{each['kind']} {name}: scales {spec['scaleTargetRef']['name']}, which is not there")
        for trigger in spec.get("triggers", []):
            if trigger["authenticationRef"]["name"] not in authentications:
                problems.append(f"ScaledObject {name}: has no TriggerAuthentication {trigger['authenticationRef']['name']}")


KEDA = json.loads((HERE / "keda.schema.json").read_text())
kustomization = documents(FOLDER / "kustomization.yaml")[0]
paths = [FOLDER / each for each in kustomization["resources"]]
alternatives = sorted((FOLDER / "alternative").glob("*.yaml"))
unlisted = set(FOLDER.glob("*.yaml")) - set(paths) - {FOLDER / "kustomization.yaml"}
problems.extend(f"kustomization.yaml does not list {path.name}" for path in sorted(unlisted))

found = []
for path in paths + alternatives:
    for document in documents(path):
        check_schema(path, document)
        found.append(document)
check_names(kustomization, found)

if problems:
    sys.exit("\n".join(problems))
print(f"kubernetes: {len(found)} resources are as Kubernetes {' and '.join(KUBERNETES)} and KEDA want them")
