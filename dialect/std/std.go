// Package std lists the dialects that come with Omnibus, in the order in which
// people see them. Adding a dialect is one line here.
package std

import (
	"omnibus/dialect"
	"omnibus/dialect/echo"
	"omnibus/dialect/mqtt"
	"omnibus/dialect/mycroft"
	"omnibus/dialect/web"
)

// All returns the dialects.
func All() []dialect.Spec {
	return []dialect.Spec{
		mqtt.Spec(),
		mycroft.Spec(),
		web.Spec(),
		echo.Spec(),
	}
}
