// Package topic holds the names and patterns of topics, and the index that
// finds the patterns a name matches. It depends on the standard library only.
//
// # Names
//
// A name is a non-empty UTF-8 text without NUL, at most [MaxNameBytes] long.
// It is the same text in every dialect. Levels are separated by '/', and an
// empty level is a level: "/a" has two.
//
// # Patterns
//
// There are four kinds. An [Exact] pattern matches the one name that equals it.
// A [Filter] is an MQTT topic filter: '+' stands for one level, '#' at the end
// for the parent and everything below, and neither in the first level matches a
// name that begins with '$'. A [Space] is a Rembus space: '*' stands for one or
// more characters within a level, "**" for any characters, and no character so
// captured is '@'. A [Regex] is a regular expression anchored at the start, and
// at its last alternative's end. Matching costs at most the product of the two
// lengths, whatever the pattern.
//
// # Index
//
// An [Index] keeps pairs of pattern and value, and answers which of them match a
// name. It promises:
//
//   - Readers take no lock and never wait for writers. Writers exclude each other.
//   - Once Insert has returned, every later Match reports the pair; once Remove
//     has returned, no later Match does.
//   - A Match that finds its name in the cache allocates nothing; one that does
//     not allocates nothing either, as long as scratch is large enough, unless it
//     adds the name to the cache.
//   - Clients that come and go do not empty the cache: a change touches the
//     cached names that it concerns, and a pattern whose last value went is kept
//     for a while so that the next client with the same pattern touches none.
//   - Memory is bounded by what is inserted, plus the cache: at most CacheNames
//     names of at most 1 KiB, and 128 pattern references a name on average.
//
// Patterns and names may be hostile. Only the first 64 levels are kept as
// branches of a tree; deeper patterns are matched one by one below that.
//
// [Names] is the opposite: a set of names, searched by pattern.
package topic
