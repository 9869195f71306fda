// Package catalogue knows the message types of the Mycroft bus as data: the 85
// that Mycroft documented, those that its programs send besides, and the rules
// by which new ones are named.
//
// Nothing on the wire depends on it: a hub relays every type. The hub asks it
// which names without a separator are message types at all, and people ask it
// what a message means or whether a new name is a good one. The lists are
// written out and never change while the program runs; what is returned is the
// caller's own.
package catalogue
