// Package jetstream is (to be written).
package jetstream
