"""An unmodified Mycroft or OVOS client, driven by the test over standard input.

    mycroft_client.py mycroft|ovos HOST PORT

Lines in:  emit TYPE DATA | on TYPE | answer TYPE | ask TYPE DATA | collect TYPE DATA | declare SERVICE
Lines out: ready | got TYPE DATA | response DATA
"""
import json
import sys
import threading

flavour, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
if flavour == 'mycroft':
    from mycroft_bus_client import MessageBusClient, Message
else:
    from ovos_bus_client import MessageBusClient, Message

client = MessageBusClient(host=host, port=port, route='/core')
opened = threading.Event()
client.on('open', lambda *a: opened.set())
client.run_in_thread()
if not opened.wait(30):
    sys.exit('the client did not connect')


def say(*words):
    print(*words, flush=True)


def got(message):
    say('got', message.msg_type, json.dumps(message.data, sort_keys=True))


def add(message):
    client.emit(message.response({'value': sum(message.data['args'])}))


def declared(message):
    say('declared', json.dumps(message.data))


say('ready')
for line in sys.stdin:
    verb, _, rest = line.strip().partition(' ')
    name, _, data = rest.partition(' ')
    if verb == 'emit':
        client.emit(Message(name, json.loads(data or '{}')))
    elif verb == 'on':
        client.on(name, got)
        say('listening', name)
    elif verb == 'answer':
        client.on(name, add)
        say('answering', name)
    elif verb == 'declare':
        client.once('omnibus.expose.response', declared)
        client.emit(Message('omnibus.expose', {'service': name}))
    elif verb == 'ask':
        response = client.wait_for_response(Message(name, json.loads(data or '{}')), timeout=20)
        say('response', 'none' if response is None else json.dumps(response.data, sort_keys=True))
