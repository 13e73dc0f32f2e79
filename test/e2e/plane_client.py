"""A user of the SDK inside the test host: one process, one JSON request a line, one answer a line.

Run as: plane_client.py ACCESS_KEY SECRET. A request is [operation, {arguments}]; the answer is
{"ok": …} or {"error": "…"}. Much cheaper than a CLI call each, and it outlives the plane."""
import json
import sys

import boto3
import botocore.config


def main():
    client = boto3.client("ecs", endpoint_url="http://127.0.0.1:51670", region_name="us-east-1",
                          aws_access_key_id=sys.argv[1], aws_secret_access_key=sys.argv[2],
                          config=botocore.config.Config(retries={"max_attempts": 0},
                                                        connect_timeout=3, read_timeout=10))
    for line in sys.stdin:
        operation, arguments = json.loads(line)
        try:
            answer = {"ok": getattr(client, operation)(**arguments)}
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
