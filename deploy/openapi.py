# SPDX-License-Identifier: Apache-2.0
"""Answers of a node against docs/reference/openapi.yaml.

usage: openapi.py FILE: a JSON array of {"method", "path", "status", "contentType", "body"}. Prints what differs, and ends
with 1 then. `path` is the template of the document. Fields that the document does not know count as a difference.
"""
import json
import sys
from pathlib import Path

import jsonschema
import yaml

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "reference" / "openapi.yaml"


def document() -> dict:
    return yaml.safe_load(DOCUMENT.read_text())


def closed(schema):
    """The same, with every object closed: what is not named is wrong."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        result.setdefault("additionalProperties", False)
    return result


def differences(answers: list[dict], api: dict) -> list[str]:
    """A sentence on each answer that is not as the document says."""
    root = {"components": closed(api["components"])}
    found = []
    for answer in answers:
        place = f"{answer['method']} {answer['path']} {answer['status']}"
        operation = api["paths"].get(answer["path"], {}).get(answer["method"].lower())
        if operation is None and answer["status"] == 405:
            operation = next(
                (value for key, value in api["paths"].get(answer["path"], {}).items() if key in ("get", "post")), None)
        if operation is None:
            found.append(f"{place}: the document has no such operation")
            continue
        response = operation["responses"].get(str(answer["status"])) or operation["responses"].get("default")
        if response is None:
            found.append(f"{place}: the document has no such status")
            continue
        if "$ref" in response:
            response = api["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
        kind = answer["contentType"].partition(";")[0].strip()
        if kind not in response["content"]:
            found.append(f"{place}: the document has no content of {kind}")
            continue
        body = json.loads(answer["body"]) if kind == "application/json" else answer["body"]
        schema = root | closed(response["content"][kind]["schema"])
        for error in jsonschema.Draft202012Validator(schema).iter_errors(body):
            found.append(f"{place}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}")
    return found


if __name__ == "__main__":
    lines = differences(json.loads(Path(sys.argv[1]).read_text()), document())
    print("\n".join(lines))
    sys.exit(1 if lines else 0)
