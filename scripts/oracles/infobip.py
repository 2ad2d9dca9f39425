"""The Infobip client as the oracle: what we send and what our tests say it sends back have the vendor's shape.

`run` installs it; the one argument is the folder of fixtures. A field that the vendor's models do not know, or that
has another type there, is an error.
"""

import json
import pathlib
import sys

from infobip_api_client.models.sms_delivery_result import SmsDeliveryResult
from infobip_api_client.models.sms_logs_response import SmsLogsResponse
from infobip_api_client.models.sms_request import SmsRequest
from infobip_api_client.models.sms_response import SmsResponse

MODELS = {
    "request.json": SmsRequest,
    "accepted.json": SmsResponse,
    "reports.json": SmsDeliveryResult,
    "logs.json": SmsLogsResponse,
}


def lost(ours, theirs, path=""):
    """Where the vendor's model did not keep a field of ours."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from lost(value, theirs[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(ours, list) and isinstance(theirs, list):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(one, other, f"{path}[{index}]")
    elif not path.endswith("At") and ours != theirs:
        yield f"{path}: {ours!r} became {theirs!r}"


def main(folder):
    problems = []
    for name, model in MODELS.items():
        text = (folder / name).read_text().replace("{group}", "1").replace("{id}", "26")
        ours = json.loads(text)
        kept = model.from_dict(ours).to_dict()
        problems += [f"{name}{problem}" for problem in lost(ours, kept)]
    for problem in problems:
        print(f"infobip: {problem}")
    if not problems:
        print(f"infobip: the vendor's models keep every field of {len(MODELS)} documents")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
