// Package mapping says what an MQTT message means on the bus and how a message
// of the bus is written as one: payload and content type, headers and
// properties, and the topics by which MQTT clients call and provide services.
// The broker and its clients share it. It does no I/O and keeps no state.
//
// # Payload
//
// Payload writes a value and labels it in the properties, which versions before
// 5 do not have; SetPayload reads one. What came in over MQTT goes out with the
// same bytes and the same label, whatever they are: a label that the properties
// have already (see SetProperties) stays when the value is still in the form
// that it stands for.
//
//	value                  bytes                     content type
//	Empty                  none                      none
//	Raw                    as they are               none
//	Text                   as they are               text/plain, format indicator 1
//	Bytes                  as they are               application/octet-stream
//	JSON, Args, CBOR,      JSON text, in which a     application/json
//	Arrow                  top-level array is the
//	                       list of arguments
//
// # Headers
//
// Headers are the user properties, in their order. What MQTT itself says of a
// message travels in headers of reserved names before them, so that it survives
// being stored and crossing other dialects: HeaderContentType and the others.
//
// # Services
//
// Names of services are topics. There are two conventions.
//
// With version 5 a call is a PUBLISH to the name itself, QoS 1, with a response
// topic and correlation data. The answer is a PUBLISH to the response topic with
// the same correlation data: the result as its payload, or, with the user
// property ErrorProperty whose value is the kind of error, the error's text.
// PUBACK with "no matching subscribers" says that nobody provides the service.
// Ordinary subscribers to the name may get the request as a message too.
//
// A client provides a service by subscribing to ServiceTopic(name); a failure
// code in SUBACK is a refusal. Requests are PUBLISHes on that topic, with the
// response topic and the correlation data that the answer is to have.
//
// With any version a client may also call by subscribing to ResponseTopic(id) and
// ErrorTopic(id), id being a text of its choice, and publishing the arguments to
// RequestTopic(id, name). One of the two topics gets the answer: the result, or
// ErrorData. A service is provided by subscribing to RequestFilter(name); requests
// come on RequestTopic(id, name), to be answered on those topics. Nothing labels
// payloads there; they are written by Unlabelled.
//
// Arguments are one payload: none is no bytes, one is that value, several are a
// JSON array. A single argument that is itself an array is an array in an array.
package mapping
