"""Both sides of collecting responses, with an unmodified Mycroft or OVOS client.

    mycroft_collect.py mycroft|ovos HOST PORT

Lines in:  handle TYPE DATA | collect TYPE DATA
Lines out: ready | handling | collected COUNT DATA...
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
print('ready', flush=True)


def answers(data):
    def handle(message):
        client.emit(message.success(data))
    return handle


for line in sys.stdin:
    verb, _, rest = line.strip().partition(' ')
    name, _, data = rest.partition(' ')
    if verb == 'handle':
        client.on_collect(name, answers(json.loads(data)), timeout=5)
        print('handling', flush=True)
    elif verb == 'collect':
        found = client.collect_responses(Message(name, json.loads(data)), max_timeout=10)
        print('collected', len(found), json.dumps([m.data for m in found], sort_keys=True), flush=True)
