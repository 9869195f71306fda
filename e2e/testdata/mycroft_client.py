"""An unmodified Mycroft or OVOS client, driven by the test over standard input.

    mycroft_client.py mycroft|ovos HOST PORT

Lines in:  emit TYPE DATA | on TYPE | once TYPE | answer TYPE | ask TYPE DATA | declare SERVICE
           join TYPE NAME | collect TYPE DATA | wait TYPE
Lines out: ready | got TYPE DATA | response DATA | collected [DATA] | event NAME
"""
import json
import os
import sys
import threading

flavour, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
if flavour == 'mycroft':
    from mycroft_bus_client import MessageBusClient, Message
else:
    from ovos_bus_client import MessageBusClient, Message

client = MessageBusClient(host=host, port=port, route='/core')
opened = threading.Event()


def connected(*args):
    opened.set()
    say('event open')


def say(*words):
    os.write(1, (' '.join(map(str, words)) + '\n').encode())  # at once: several threads speak


client.on('open', connected)
client.on('close', lambda *a: say('event close'))
client.on('reconnecting', lambda *a: say('event reconnecting'))
client.run_in_thread()
if not opened.wait(30):
    sys.exit('the client did not connect')


def got(message):
    say('got', message.msg_type, json.dumps(message.data, sort_keys=True))


def add(message):
    client.emit(message.response({'value': sum(message.data['args'])}))


def joining(name):
    """A handler that takes part in collections, unless it is named silent."""
    def handler(message):
        if name == 'silent':
            client.emit(message.failure())
        else:
            client.emit(message.success({'by': name}))
    return handler


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
    elif verb == 'once':
        client.once(name, got)
        say('listening', name)
    elif verb == 'join':
        client.on_collect(name, joining(data))
        say('joined', name)
    elif verb == 'collect':
        answers = client.collect_responses(Message(name, json.loads(data or '{}')), max_timeout=20)
        say('collected', json.dumps(sorted(str(a.data.get('by')) for a in answers)))
    elif verb == 'wait':
        say('waiting')
        message = client.wait_for_message(name, timeout=20)
        say('waited', 'none' if message is None else json.dumps(message.data, sort_keys=True))
    elif verb == 'answer':
        client.on(name, add)
        say('answering', name)
    elif verb == 'declare':
        client.once('omnibus.expose.response', declared)
        client.emit(Message('omnibus.expose', {'service': name}))
    elif verb == 'ask':
        response = client.wait_for_response(Message(name, json.loads(data or '{}')), timeout=20)
        say('response', 'none' if response is None else json.dumps(response.data, sort_keys=True))
