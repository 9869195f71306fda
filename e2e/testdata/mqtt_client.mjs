// The unmodified MQTT.js client, driven by the test over standard input: see mqtt_client.py.
//
//     OMNIBUS_E2E_NODE=DIRECTORY_WITH_node_modules node mqtt_client.mjs '{"url": URL, ...}'

import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';

const mqtt = createRequire(`${process.env.OMNIBUS_E2E_NODE}/`)('mqtt');
const how = JSON.parse(process.argv[2]);
const v5 = how.version === '5';

function say(event, rest) {
	process.stdout.write(JSON.stringify({event, ...rest}) + '\n');
}

// The properties of a message, undefined before version 5.
function properties(message) {
	if (!v5) {
		return undefined;
	}
	const p = {};
	if (message.format) {
		p.payloadFormatIndicator = message.format === 1;
	}
	for (const [name, key] of [
		['contentType', 'contentType'], ['responseTopic', 'responseTopic'], ['messageExpiryInterval', 'expiry'], ['topicAlias', 'alias'],
	]) {
		if (message[key]) {
			p[name] = message[key];
		}
	}
	if (message.correlation) {
		p.correlationData = Buffer.from(message.correlation, 'base64');
	}
	for (const [name, value] of message.user ?? []) {
		p.userProperties ??= {};
		(p.userProperties[name] ??= []).push(value);
	}
	return p;
}

// What the properties of a message tell.
function published(p = {}) {
	return {
		contentType: p.contentType, responseTopic: p.responseTopic, expiry: p.messageExpiryInterval, alias: p.topicAlias,
		format: p.payloadFormatIndicator ? 1 : undefined,
		correlation: p.correlationData?.toString('base64'),
		subscriptions: p.subscriptionIdentifier === undefined ? undefined : [p.subscriptionIdentifier].flat(),
		user: p.userProperties && Object.entries(p.userProperties).flatMap(([name, values]) => [values].flat().map((v) => [name, v])),
	};
}

const client = mqtt.connect(how.url, {
	clientId: how.id ?? '',
	protocolVersion: v5 ? 5 : 4,
	clean: how.clean ?? false,
	reconnectPeriod: 0,
	resubscribe: false,
	ca: how.ca && readFileSync(how.ca),
	will: how.will && {...how.will, payload: how.will.payload, qos: how.will.qos ?? 0, retain: how.will.retain ?? false, properties: properties(how.will)},
	autoAssignTopicAlias: how.assignAliases ?? false,
	properties: v5 ? {sessionExpiryInterval: how.expiry ?? 0, topicAliasMaximum: how.aliases || undefined} : undefined,
});

let reason = 0;
client.on('connect', (ack) => say('connected', {
	present: ack.sessionPresent, reason: ack.reasonCode ?? ack.returnCode,
	id: ack.properties?.assignedClientIdentifier ?? '', aliases: ack.properties?.topicAliasMaximum ?? 0,
}));
client.on('disconnect', (packet) => {
	reason = packet.reasonCode;
});
client.on('close', () => say('disconnected', {reason, byServer: reason !== 0}));
client.on('error', (err) => say('error', {text: String(err)}));
client.on('message', (topic, payload, m) => say('message', {
	topic, payload: payload.toString(), qos: m.qos, retain: m.retain, dup: m.dup, ...published(m.properties),
}));
// Whether topics went out as aliases only the packets tell.
client.on('packetsend', (packet) => {
	if (packet.cmd === 'publish' && packet.topic === '') {
		say('aliased', {alias: packet.properties.topicAlias});
	}
});

const verbs = {
	subscribe(d) {
		const p = d.subscription ? {subscriptionIdentifier: d.subscription} : undefined;
		client.subscribe(d.topic, {qos: d.qos ?? 0, properties: p}, (err, granted, packet) => {
			say('subscribed', {reasons: packet?.granted ?? granted?.map((g) => g.qos) ?? [128]});
		});
	},
	publish(d) {
		client.publish(d.topic, d.payload, {qos: d.qos ?? 0, retain: d.retain ?? false, properties: properties(d)}, (err, packet) => {
			say('published', {reason: err?.code ?? packet?.reasonCode ?? 0});
		});
	},
	async flood(d) {
		// The library does not mind how many the server wants at a time.
		const window = how.inflight ?? 100;
		for (let n = 0; n < d.count; n += window) {
			const length = Math.min(window, d.count - n);
			await Promise.all(Array.from({length}, (_, i) => client.publishAsync(d.topic, String(n + i), {qos: d.qos})));
		}
		say('flooded');
	},
	disconnect() {
		client.end();
	},
};

for await (const line of createInterface({input: process.stdin})) {
	const d = JSON.parse(line);
	verbs[d.do](d);
}
process.exit();
