"""What docker-compose.yml must keep, whoever changes it. Reads what `docker compose config --format json` made of it.

    docker compose config --format json | python compose.py
"""

import json
import re
import sys

problems = []
services = json.load(sys.stdin)["services"]

for name, service in services.items():
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    if not {"cpus", "memory"} <= limits.keys():
        problems.append(f"{name}: has no limit of processors or of memory")
    if "ALL" not in service.get("cap_drop", []) or "no-new-privileges:true" not in service.get("security_opt", []):
        problems.append(f"{name}: keeps rights that it does not need")
    if service.get("privileged"):
        problems.append(f"{name}: is privileged")
    ours = service["image"].startswith("otodoke")
    if not ours and not re.search(r":v?\d+\.\d+\.?\d*(-[a-z]+)?$", service["image"]):
        problems.append(f"{name}: {service['image']} is not one version")
    if ours and not service.get("read_only"):
        problems.append(f"{name}: its root can be written")
    # Door and worker are asked as the Dockerfile says.
    if name not in ("producer", "worker") and "healthcheck" not in service:
        problems.append(f"{name}: nobody asks for its health")
    for port in service.get("ports", []):
        if port.get("host_ip") != "127.0.0.1":
            problems.append(f"{name}: port {port['published']} is open to others than this machine")
    for wanted, condition in service.get("depends_on", {}).items():
        if condition["condition"] != "service_healthy":
            problems.append(f"{name}: does not wait until {wanted} is well")
    for variable, value in service.get("environment", {}).items():
        if re.search("PASSWORD|SECRET|TOKEN", variable) and not str(value).startswith("/run/secrets/"):
            problems.append(f"{name}: {variable} is a secret in the open; name its file")

if problems:
    sys.exit("\n".join(problems))
print(f"compose: {len(services)} services have limits, health checks and no more rights than they need")
