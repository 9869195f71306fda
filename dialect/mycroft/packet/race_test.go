//go:build race

package packet_test

// The race detector makes encoding/json's pool forget its scanners at random.
func init() { scannerAllocations = 1 }
