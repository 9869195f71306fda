"""The unmodified Paho client, driven by the test over standard input.

    mqtt_client.py '{"url": URL, "version": "3.1.1" or "5", "id": ID, ...}'

One JSON object per line. In: {"do": "subscribe", "publish", "flood" or "disconnect", ...}.
Out: {"event": "connected", "subscribed", "published", "flooded", "message" or "disconnected", ...}.
mqtt_client.mjs understands the same.
"""
import base64
import json
import sys
import threading
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

how = json.loads(sys.argv[1])
url = urlsplit(how['url'])
V5 = how['version'] == '5'
output = threading.Lock()


def say(event, **rest):
    with output:
        print(json.dumps({'event': event, **rest}), flush=True)


def properties(kind, message):
    """The properties of a packet, None before version 5."""
    if not V5:
        return None
    p = Properties(kind)
    for name, key in (('PayloadFormatIndicator', 'format'), ('ContentType', 'contentType'),
                      ('ResponseTopic', 'responseTopic'), ('MessageExpiryInterval', 'expiry'), ('TopicAlias', 'alias')):
        if message.get(key):
            setattr(p, name, message[key])
    if message.get('correlation'):
        p.CorrelationData = base64.b64decode(message['correlation'])
    if message.get('user'):
        p.UserProperty = [tuple(pair) for pair in message['user']]
    return p


def published(p):
    """What the properties of a message tell."""
    found = {}
    for name, key in (('ContentType', 'contentType'), ('ResponseTopic', 'responseTopic'), ('PayloadFormatIndicator', 'format'),
                      ('MessageExpiryInterval', 'expiry'), ('SubscriptionIdentifier', 'subscriptions'),
                      ('TopicAlias', 'alias'), ('UserProperty', 'user')):
        value = getattr(p, name, None)
        if value is not None:
            found[key] = value
    if hasattr(p, 'CorrelationData'):
        found['correlation'] = base64.b64encode(p.CorrelationData).decode()
    return found


def on_connect(_client, _data, flags, reason, props):
    say('connected', present=flags.session_present, reason=reason.value,
        id=getattr(props, 'AssignedClientIdentifier', ''), aliases=getattr(props, 'TopicAliasMaximum', 0))


def on_disconnect(_client, _data, flags, reason, _props):
    say('disconnected', reason=reason.value, byServer=flags.is_disconnect_packet_from_server)


def on_message(_client, _data, m):
    rest = published(m.properties) if V5 else {}
    say('message', topic=m.topic, payload=m.payload.decode(), qos=m.qos, retain=bool(m.retain), dup=bool(m.dup), **rest)


def on_subscribe(_client, _data, _mid, reasons, _props):
    say('subscribed', reasons=[r.value for r in reasons])


flood = {'left': 0}


def on_publish(_client, _data, _mid, reason, _props):
    if flood['left'] == 0:
        say('published', reason=reason.value)
        return
    flood['left'] -= 1
    if flood['left'] == 0:
        say('flooded')


websocket = url.scheme in ('ws', 'wss')
options = {} if V5 else {'clean_session': how.get('clean', False)}
client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2, client_id=how.get('id', ''), reconnect_on_failure=False,
    protocol=mqtt.MQTTv5 if V5 else mqtt.MQTTv311, transport='websockets' if websocket else 'tcp', **options)
if websocket:
    client.ws_set_options(path=url.path)
if url.scheme in ('mqtts', 'wss'):
    client.tls_set(ca_certs=how['ca'])
if how.get('inflight'):
    client.max_inflight_messages_set(how['inflight'])
if how.get('will'):
    will = how['will']
    client.will_set(will['topic'], will['payload'], will.get('qos', 0), will.get('retain', False),
                    properties(PacketTypes.WILLMESSAGE, will))
client.on_connect, client.on_disconnect, client.on_message = on_connect, on_disconnect, on_message
client.on_subscribe, client.on_publish = on_subscribe, on_publish
if V5:
    p = Properties(PacketTypes.CONNECT)
    p.SessionExpiryInterval = how.get('expiry', 0)
    if how.get('aliases'):
        p.TopicAliasMaximum = how['aliases']
    client.connect(url.hostname, url.port, clean_start=how.get('clean', False), properties=p)
else:
    client.connect(url.hostname, url.port)
client.loop_start()

for line in sys.stdin:
    do = json.loads(line)
    verb = do['do']
    if verb == 'subscribe' and V5:
        p = Properties(PacketTypes.SUBSCRIBE)
        if do.get('subscription'):
            p.SubscriptionIdentifier = do['subscription']
        client.subscribe(do['topic'], options=mqtt.SubscribeOptions(do.get('qos', 0)), properties=p)
    elif verb == 'subscribe':
        client.subscribe(do['topic'], do.get('qos', 0))
    elif verb == 'publish':
        client.publish(do['topic'], do['payload'], do.get('qos', 0), do.get('retain', False),
                       properties(PacketTypes.PUBLISH, do))
    elif verb == 'flood':
        flood['left'] = do['count']
        for n in range(do['count']):
            client.publish(do['topic'], str(n), do['qos'])
    elif verb == 'disconnect':
        client.disconnect()
