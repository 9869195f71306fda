// Package packet is the codec of MQTT 3.1, 3.1.1 and 5.0: every control packet
// in both directions, shared by server and client. It does no I/O, keeps no
// state and knows nothing of the rest of the bus.
//
// # Decoding
//
// Frame finds the first packet in a read buffer, and the Decode method of the
// struct for its type reads the body. A struct can be decoded into again and
// again; each time all its fields are set, and of what it held only slices are
// used again.
//
// Ownership: every string and slice of a decoded packet is a view of the body.
// It is valid until the buffer is written to again, and the decoder never
// writes to it. Whoever keeps a packet longer decodes a copy of the body
// (bytes.Clone), which costs one allocation however many fields there are, or
// clones the fields that matter (strings.Clone). Nothing of a PUBLISH is
// allocated; of the others, only the list of filters of SUBSCRIBE and
// UNSUBSCRIBE when it grows.
//
// Errors: what is not well-formed is refused with an *Error, which has the
// reason code of MQTT 5.0 to answer with and a text that names the packet, the
// field and the clause. After an error the fields of the struct mean nothing,
// except Connect.Version. What depends on the state of a session is not judged
// here: topic aliases above the maximum, packet identifiers in use, permission.
//
// Versions differ where their specifications do. Statement ids in comments,
// such as MQTT-2.1.3-1, are those of MQTT 5.0; those of 3.1.1 are marked. MQTT
// 3.1 forbids less, so less is checked: unused flags of the fixed header, of
// CONNECT and of requested QoS are ignored, and a user name or password that is
// announced may be missing.
//
// # Encoding
//
// The Append methods add one packet to dst and return the longer slice, in the
// manner of append; they allocate only when dst is too small. The properties of
// version 5 are left out for older peers. A property is written if its value is
// not zero or its bit in Present is set, so the zero value of each struct of
// properties has none, and what was decoded is written again as it was.
//
// Append trusts its caller: strings must be valid UTF-8 without U+0000, names and
// filters of topics must be valid (see ValidTopicName, ValidTopicFilter), QoS at
// most 2, and packet identifiers not 0. What cannot be written in the format at
// all (a string over 65,535 bytes, a packet over MaxSize, a reason for which
// 3.1.1 has no code) appends nothing: a stream is never left with half a packet.
//
// AppendWithin respects what the receiver asked for: it leaves out user
// properties and the reason string where the specification wants that.
//
// A Template is a PUBLISH compiled once and sent to many.
package packet
