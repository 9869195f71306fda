// Package web lets anything that speaks HTTP publish, listen, call and expose:
// curl, browsers, scripts.
//
//	POST /topics/TOPIC            publish the body          (?retain=1&qos=1)
//	GET  /events?topics=P,P,…     server-sent events of what matches the patterns
//	POST /rpc/NAME                call a service            (?timeout=5s)
//	GET  /services/NAME           provide a service: its requests as server-sent events
//	POST /services/NAME/ID        answer one of them        (?error=TEXT&kind=KIND)
//
// The path after /topics/ is the topic, percent-encoding undone, so that
// "/topics//robot/pose" is the topic "/robot/pose". In a query, "+" is a plus
// sign, for patterns.
//
// A published body is JSON, text or bytes as its Content-Type says; without
// one, or with curl's default, it is JSON if it is valid JSON, else text if it
// is UTF-8, else bytes. Errors are a JSON object {"error":{"kind","message"}}
// with the status of the kind.
//
// Events are JSON objects; [Event] says which members they have. A listener
// that reads slowly loses events beyond its queue and is told how many. See
// docs/dialects/web.md.
//
// Pages of other sites can neither publish, call nor provide services, also
// when a name of theirs leads to this machine. Events and answers are UTF-8. A
// body or answer that stalls ends its connection.
//
// Every request is a peer of its own while it lasts. When the server ends, or
// its listener does, streams get a last event "omnibus.bye", requests that run
// are waited for within the grace, then connections are closed.
package web
