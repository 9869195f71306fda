module omnibus/bench/inproc

go 1.26.0

require (
	github.com/asaskevich/EventBus v0.0.0-20200907212545-49d423059eef
	github.com/cskr/pubsub/v2 v2.0.2
	github.com/mustafaturan/bus/v3 v3.0.3
	omnibus v0.0.0
)

replace omnibus => ../..
