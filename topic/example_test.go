package topic_test

import (
	"fmt"

	"omnibus/topic"
)

func ExampleParse() {
	for _, text := range []string{"home/kitchen", "home/+/temp", "home/**/temp", "regex:/robot/[a-z]+", "filter:home/kitchen"} {
		p, err := topic.Parse(text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(p.Kind(), p.Text(), p.Match("home/kitchen"), p.Match("home/kitchen/temp"))
	}
	_, err := topic.Parse("filter:home/#/temp")
	fmt.Println(err)
	// Output:
	// exact home/kitchen true false
	// filter home/+/temp false true
	// space home/**/temp false true
	// regex /robot/[a-z]+ false false
	// filter home/kitchen true false
	// invalid topic pattern: filter "home/#/temp": byte 5: '#' must be the last level
}

func ExampleIndex() {
	var ix topic.Index[string]
	for text, who := range map[string]string{"home/+/temp": "thermostat", "home/**": "logger"} {
		p, err := topic.Parse(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		ix.Insert(p, who)
	}
	var scratch [8]*topic.Leaf[string]
	for _, leaf := range ix.Match("home/kitchen/temp", scratch[:0]) {
		for _, who := range leaf.Values() {
			fmt.Println(who, "by", leaf.Pattern())
		}
	}
	// Unordered output:
	// thermostat by home/+/temp
	// logger by home/**
}

func ExampleNames() {
	var retained topic.Names[int]
	retained.Set("home/kitchen/temp", 21)
	retained.Set("home/kitchen/light", 1)
	retained.Set("garden/temp", 9)
	p, err := topic.NewFilter("home/+/temp")
	if err != nil {
		fmt.Println(err)
		return
	}
	for name, value := range retained.Match(p) {
		fmt.Println(name, value)
	}
	// Output: home/kitchen/temp 21
}
