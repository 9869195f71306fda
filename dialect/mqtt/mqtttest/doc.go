// Package mqtttest plays conversations with an MQTT broker that are written in
// text files, and tells which statements of the specification they show to be
// held. It sees the broker from outside: any broker that can be dialed.
//
// # Scripts
//
// A file has one script, or several that each begin with a title. A script is
// played with fresh connections, one step a line, each step before the next:
//
//	# MQTT-3.1.2-4: what the comment names, the script shows
//	needs: acl                    the file or script is for brokers that can this
//	== a clean start forgets the session
//	a open                        client a connects: [v5|v311|v31] [websocket]
//	a> CONNECT v5 id=a clean      client a sends a packet
//	a> hex 10 [ s"MQTT" 05 ]      client a sends bytes, well-formed or not
//	a> text-frame c000            the same, in a text frame of a WebSocket
//	a< CONNACK *                  client a receives this packet, and no other
//	a|b< PUBLISH topic=t          either of them does
//	a silent                      client a has received nothing more
//	a closed                      the broker has ended a's connection
//	a dropped 81|82               the broker says why, and ends the connection
//	a close                       client a goes away without a word
//	a connect session-expiry=9    open, CONNECT id=a clean …, and a CONNACK
//	a resume                      the same with the session that a left
//	wait 1500ms                   time passes
//	repeat 1..20 a> …             a step again and again, with $i from 1 to 20
//	{                             a group: what is received in it may come in
//	}                             any order
//
// A word "#" begins a comment that lasts to the end of its line.
//
// What a client of version 5 is told before its connection is closed stands in
// a DISCONNECT, or in the CONNACK when it was never accepted; older clients are
// told nothing. The step dropped expects that, with one of the reasons.
//
// The step silent proves that nothing is on its way, not that nothing has come
// yet: every connected client sends a PINGREQ, the silent one last, and what
// the broker answers ends what it had to say before.
//
// # Packets
//
// A packet is its name, flags, and fields of key=value; in CONNECT, a word like
// v311 is the version, that of open if there is none. Reasons and codes are in
// hexadecimal, numbers in decimal. A field that is not written is not in the
// packet, or has its default: QoS 0, reason 00. In a packet to be received,
//
//	!key         stands for a field that must not be there
//	*            for properties that do not matter
//	key<=5       for a bound, >= too
//	key=a|b      for one value or another
//	key=_        for any value
//	key=$name    for any value the first time, and for the same one later
//	size<=40     for the length of the whole packet
//
// A value is a text, bare or quoted as in Go; hex:0AFF are bytes; $name+1 is a
// number that was received and one more; repeat("x",100) is a long text and
// hmac("secret",$c) a proof of knowing a secret (HMAC-SHA256). A text with a $
// in front is quoted, so that it is no variable. The keys of each packet are
// those of [Keys].
//
// In bytes, "text" stands for itself, s"text" for a string with its length in
// front, and [ … ] for what is inside with its length in front, as a variable
// byte integer.
//
// # What is checked of every packet
//
// Whatever a script expects, each packet of the broker must be well-formed, and
// must be one that a server may send at that point: see [Rules].
//
// # Time
//
// Nothing is said about how fast a broker is: a step that must happen has
// [Player.Timeout] to do so. With in-memory connections a script can be played
// in a bubble of testing/synctest; no goroutine and no connection is left when
// [Player.Play] returns. Since a bubble has no subtests, each script gets one of
// its own, and a broker that starts and ends in it:
//
//	scripts, err := mqtttest.Load(os.DirFS("testdata/transcripts"))
//	for _, s := range scripts {
//		t.Run(s.Name(), func(t *testing.T) {
//			synctest.Test(t, func(t *testing.T) { … player.Play(t.Context(), s) … })
//		})
//	}
package mqtttest
