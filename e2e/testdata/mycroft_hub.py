"""A hub to compare with, on a free port that it prints.

    mycroft_hub.py tornado|ovos

ovos serves the handler of the package ovos-messagebus, unmodified. tornado serves the least that a hub on Tornado
does for a frame: read it as JSON, write it to every client.
"""
import json
import sys

import tornado.httpserver
import tornado.ioloop
import tornado.netutil
import tornado.web
import tornado.websocket

if sys.argv[1] == 'ovos':
    from ovos_messagebus.event_handler import MessageBusEventHandler as Handler
else:
    clients = []

    class Handler(tornado.websocket.WebSocketHandler):
        def open(self):
            self.write_message('{"type": "connected", "data": {}, "context": {}}')
            clients.append(self)

        def on_message(self, message):
            json.loads(message)
            for client in clients:
                client.write_message(message)

        def on_close(self):
            clients.remove(self)

        def check_origin(self, origin):
            return True

sockets = tornado.netutil.bind_sockets(0, '127.0.0.1')
server = tornado.httpserver.HTTPServer(tornado.web.Application([('/core', Handler)]))
server.add_sockets(sockets)
print('port', sockets[0].getsockname()[1], flush=True)
tornado.ioloop.IOLoop.current().start()
