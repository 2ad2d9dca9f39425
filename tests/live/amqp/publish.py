"""Publishes messages as a program of another kind than ours does: Python's pika, at the broker's public exchange.

Reads one JSON object a line: {"url", "exchange", "key", "body", "properties": {...}, "headers": {...}}.
Writes one a line: {"ok": true}, or {"ok": false, "code", "text"} with what the broker said.
"""

import json
import sys

import pika


def publish(channels, message):
    url = message["url"]
    if url not in channels or channels[url].is_closed:
        channels[url] = pika.BlockingConnection(pika.URLParameters(url)).channel()
        # The broker's word that the message is safe, or why it is not.
        channels[url].confirm_delivery()
    properties = pika.BasicProperties(headers=message.get("headers"), **message["properties"])
    body = message["body"].encode()
    channels[url].basic_publish(message["exchange"], message["key"], body, properties, mandatory=True)


def main():
    channels = {}
    for line in sys.stdin:
        try:
            publish(channels, json.loads(line))
            answer = {"ok": True}
        except pika.exceptions.ChannelClosedByBroker as closed:
            answer = {"ok": False, "code": closed.reply_code, "text": closed.reply_text}
        except pika.exceptions.AMQPError as error:
            answer = {"ok": False, "code": None, "text": repr(error)}
        print(json.dumps(answer), flush=True)


main()
