"""A program that speaks to the bus without a client library: it sends one message and reads one frame.

    mycroft_raw.py HOST PORT TYPE [DATA]
"""
import sys

from websocket import create_connection

host, port, msg_type = sys.argv[1:4]
data = sys.argv[4] if len(sys.argv) > 4 else '{}'
ws = create_connection(f'ws://{host}:{port}/core')
ws.send('{"type": "' + msg_type + '", "data": ' + data + '}')
print('received', ws.recv(), flush=True)
print('then', ws.recv(), flush=True)
ws.close()
