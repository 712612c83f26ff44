/*
 * page.js
 *	  The page at / of the HTTP port: asks for status.json every few seconds
 *	  and shows what a DBA looks at first.
 *
 * Names of databases, roles and applications are chosen by whoever connects.
 * They become text nodes, by put() and el(), and nothing else: nothing here
 * parses HTML, and no name gets into an attribute.
 *
 * What is shown already is changed in place, row by row (keyed()), so that
 * focus, selection and the reading position of a screen reader stay.
 */
'use strict';
(() => {

const POLL_MS = 3000;			// between an answer and the next question
const ANSWER_MS = 10000;		// then the server counts as out of reach
const STALE_MS = 10000;			// older than that is said to be old
const HISTORY_S = 600;			// what the plots show
const FIRST_ROWS = 10;			// the rest is behind a button
const GAP_S = 12;				// samples further apart are not connected
const PLOT_HEIGHT = 120;
const SECOND = 1000;			// most times come in milliseconds

const byId = (id) => document.getElementById(id);

/* ---- what is written, and how ---- */

// What can't be seen, or would change the order of what can, is spelled out.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

const visible = (text, keep) => String(text).replace(HIDDEN,
	(c) => keep && keep.includes(c) ? c : '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));

const integer = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const decimal = new Intl.NumberFormat('en', { maximumFractionDigits: 1, minimumFractionDigits: 1 });

const number = (n) => n === null || n === undefined ? '–' : integer.format(n);

function rate(n)
{
	if (n === null || n === undefined || !isFinite(n))
		return '–';
	return n > 0 && n < 10 ? decimal.format(n) : integer.format(n);
}

const plural = (n, one, many) => number(n) + ' ' + (n === 1 ? one : many || one + 's');

// Seconds, as short as they can be read.
function duration(s)
{
	if (s === null || s === undefined || !isFinite(s))
		return '–';
	if (s < 0.0001)
		return Math.round(s * 1e6) + ' µs';
	if (s < 0.9995)
		return Number((s * 1e3).toPrecision(s < 0.001 ? 2 : 3)) + ' ms';
	if (s < 59.95)
		return s.toFixed(1) + ' s';

	const whole = Math.round(s);
	const two = (large, big, small, little) => Math.floor(whole / large) + big + ' ' +
		String(Math.floor(whole % large / small)).padStart(2, '0') + little;

	return whole < 3600 ? two(60, ' min', 1, ' s') : whole < 86400 ? two(3600, ' h', 60, ' min') :
		two(86400, ' d', 3600, ' h');
}

const clock = (date) => date.toLocaleTimeString('en-GB');

/* ---- the document ---- */

function el(tag, attributes, ...children)
{
	const node = document.createElement(tag);

	for (const [name, value] of Object.entries(attributes || {}))
		node.setAttribute(name, value);
	node.append(...children);
	return node;
}

// A name: kept apart from the direction of the text around it.
const nameNode = () => el('bdi');

// Changes what is there only if it differs; the characters in keep stay as they are.
function put(node, text, keep)
{
	const value = visible(text, keep);

	if (node.textContent !== value)
		node.textContent = value;
}

function show(node, shown)
{
	if (node.hidden === shown)
		node.hidden = !shown;
}

function setClass(node, name, on)
{
	node.classList.toggle(name, Boolean(on));
}

/*
 * Makes the children of parent be one for each item, in this order.  Nodes are
 * kept by key; what has the focus is never moved, the others are moved around
 * it.  make(item) returns { node, update(item) }.
 */
const rowsOf = new WeakMap();

function keyed(parent, items, keyOf, make)
{
	const old = rowsOf.get(parent) || new Map();
	const rows = new Map();

	for (const item of items)
	{
		const key = keyOf(item);

		if (rows.has(key))
			continue;
		const row = old.get(key) || make(item);

		row.update(item);
		rows.set(key, row);
	}
	for (const [key, row] of old)
	{
		if (!rows.has(key))
			row.node.remove();
	}
	rowsOf.set(parent, rows);
	arrange(parent, [...rows.values()].map((row) => row.node));
}

function arrange(parent, nodes)
{
	const pivot = Math.max(0, nodes.findIndex((node) => node.parentNode === parent &&
		node.contains(document.activeElement)));

	if (nodes.length === 0)
		return;
	if (nodes[pivot].parentNode !== parent)
		parent.append(nodes[pivot]);
	for (let i = pivot - 1; i >= 0; i--)
	{
		if (nodes[i].nextSibling !== nodes[i + 1] || nodes[i].parentNode !== parent)
			parent.insertBefore(nodes[i], nodes[i + 1]);
	}
	for (let i = pivot + 1; i < nodes.length; i++)
	{
		if (nodes[i].previousSibling !== nodes[i - 1] || nodes[i].parentNode !== parent)
			parent.insertBefore(nodes[i], nodes[i - 1].nextSibling);
	}
}

// The first rows, or all of them once the button has been pressed.
function limited(button, what)
{
	let all = false;
	let draw = () => {};

	button.setAttribute('aria-expanded', 'false');
	button.addEventListener('click', () => {
		all = !all;
		button.setAttribute('aria-expanded', String(all));
		draw();
	});
	return {
		onChange: (f) => { draw = f; },
		// the answer may not have all of them
		cut(items, leftOut)
		{
			const most = leftOut > 0 ? number(items.length) + ' of ' + number(items.length + leftOut) :
				'all ' + number(items.length);

			show(button, items.length > FIRST_ROWS);
			put(button, all ? 'Show the first ' + FIRST_ROWS : 'Show ' + most + ' ' + what);
			return all ? items : items.slice(0, FIRST_ROWS);
		}
	};
}

/* ---- health ---- */

const SVG = 'http://www.w3.org/2000/svg';

const COLORS = { healthy: '2f7d4f', degraded: 'b07400', unhealthy: 'b3372a' };

// Also in the title and by a dot in the tab, so that it can be seen from another one.
function setHealth(health)
{
	const color = COLORS[health] || '808080';
	const icon = 'data:image/svg+xml,' + encodeURIComponent('<svg xmlns="' + SVG +
		'" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6" fill="#' + color + '"/></svg>');

	put(byId('health-text'), health);
	byId('health').className = health;
	put(document.querySelector('title'), health + ' – pooler at ' + location.host);
	if (byId('icon').getAttribute('href') !== icon)
		byId('icon').setAttribute('href', icon);
}

function showHealth(status)
{
	setHealth(COLORS[status.health.status] ? status.health.status : 'unhealthy');

	const messages = status.health.messages;

	show(byId('messages'), messages.length > 0);
	keyed(byId('messages-list'), messages, (m) => JSON.stringify([m.check, m.object]), () => {
		const severity = el('span', { class: 'unseen' });
		const text = el('span');
		const pool = poolName();
		const numbers = el('span', { class: 'note' });
		const node = el('li', null, el('span', { class: 'dot', 'aria-hidden': 'true' }),
			el('span', null, severity, el('span', null, ...pool.nodes, ': '), text, ' ', numbers));

		return {
			node,
			update(m)
			{
				put(severity, m.severity + ': ');
				put(text, m.message);
				pool.update(m.object);
				show(pool.nodes[0].parentNode, Boolean(m.object.database));
				put(numbers, numbersOf(m));
				node.className = m.severity;
			}
		};
	});
}

// Some messages are about what is or is not: then there is no number.
function numbersOf(message)
{
	const value = amount(message.value, message.unit);

	if (message.unit || message.threshold > 0)
		return '(' + value + ', threshold ' + amount(message.threshold, message.unit) + ')';
	return message.value > 1 ? '(' + value + ')' : '';
}

function amount(value, unit)
{
	if (unit === 'ms' || unit === 's')
		return duration(unit === 's' ? value : value / SECOND);
	return number(value) + (unit ? ' ' + unit : '');
}

/* ---- the figures ---- */

// label, value, note, whether it is one to look at
const FIGURES = [
	['Transactions/s', (now) => rate(now.last.transactions),
		(now) => rate(now.last.queries) + ' queries/s'],
	['Backends', (now) => number(now.busy),
		(now) => 'at work or kept, of ' + number(now.status.status.backends) + '; limit ' + number(now.status.status.max_backends)],
	['Clients', (now) => number(now.status.status.clients),
		(now) => 'limit ' + number(now.status.status.max_clients)],
	['Waiting', (now) => number(now.waiting),
		(now) => now.waiting > 0 ? 'longest ' + duration(now.longest) : 'nobody',
		(now) => now.waiting > 0],
	['Leaks', (now) => number(now.leaks),
		(now) => now.leaks === 0 ? 'none' : now.held > 0 ? 'others wait because of ' + number(now.held) : 'nobody waits',
		(now) => now.leaks > 0],
	['Wait, p99', (now) => duration(now.last.wait99),
		(now) => rate(now.last.waits) + ' waits/s'],
	['Transaction, p99', (now) => duration(now.last.transaction99),
		(now) => 'p50 ' + duration(now.last.transaction50)],
	['Errors/s', (now) => rate(now.last.errors),
		(now) => rate(now.last.failed_logins) + ' failed logins/s']
];

function showFigures()
{
	keyed(byId('figures'), FIGURES, ([label]) => label, ([label]) => {
		const value = el('dd', { class: 'value' });
		const note = el('dd', { class: 'note' });

		return {
			node: el('div', null, el('dt', null, label), value, note),
			update([, valueOf, noteOf, isBad])
			{
				put(value, valueOf(shown));
				put(note, noteOf(shown));
				setClass(value, 'degraded', isBad && isBad(shown));
			}
		};
	});
}

/* ---- pools ---- */

// What the backends of a pool are doing; the order is that in the bar.
const SEGMENTS = [
	['busy', 'at work', 'work for a client, or are in its transaction'],
	['pinned', 'kept', 'are kept by a session between transactions'],
	['idle', 'idle', 'can be had at once'],
	['starting', 'starting', 'start or end']
];

function showKey()
{
	for (const [state, label] of SEGMENTS)
		byId('key').append(el('li', null, el('span', { class: 'swatch ' + state, 'aria-hidden': 'true' }), label));
}

const inUse = (pool) => pool.busy + pool.pinned;
const share = (pool) => pool.size > 0 ? Math.min(1, inUse(pool) / pool.size) : 0;

// Those that matter first.  Coarse on purpose: rows should not jump about.
function need(pool)
{
	return pool.waiting > 0 ? 4 : share(pool) >= 0.8 ? 3 : inUse(pool) > 0 ? 2 : pool.clients > 0 ? 1 : 0;
}

function byNeed(a, b)
{
	return need(b) - need(a) || compare(a.database, b.database) || compare(a.role, b.role);
}

const compare = (a, b) => a < b ? -1 : a > b ? 1 : 0;

// Two names, of which neither can look like a part of the other.
function poolName()
{
	const database = nameNode();
	const role = nameNode();
	const roleSpan = el('span', { class: 'name role' }, role);

	return {
		nodes: [el('span', { class: 'name' }, database), ' ', roleSpan],
		update(of)
		{
			put(database, of.database || '');
			put(role, of.role || '');
			show(roleSpan, Boolean(of.role));
		}
	};
}

function bar()
{
	const parts = SEGMENTS.map(([state]) => el('span', { class: 'part ' + state }));
	const rest = el('span', { class: 'part rest' });
	const words = el('span', { class: 'words' });

	return {
		nodes: [el('span', { class: 'bar', 'aria-hidden': 'true' }, ...parts, rest), words],
		update(pool)
		{
			const said = [];

			SEGMENTS.forEach(([state, label], i) => {
				parts[i].style.flexGrow = pool[state];
				show(parts[i], pool[state] > 0);
				if (pool[state] > 0)
					said.push(number(pool[state]) + ' ' + label);
			});
			const missing = Math.max(0, pool.size - pool.backends);
			rest.style.flexGrow = missing;
			show(rest, missing > 0 || pool.backends === 0);
			put(words, (said.join(', ') || 'no backends') + ', of ' + number(pool.size));
		}
	};
}

function cell(label, numeric, ...children)
{
	return el('td', { role: 'cell', class: numeric ? 'num' : '', 'data-label': label }, ...children);
}

function poolRow()
{
	const name = poolName();
	const state = el('span', { class: 'tag' });
	const backends = bar();
	const numbers = ['Waiting', 'Longest wait', 'Clients', 'Transactions/s'].map((label) => cell(label, true));
	const node = el('tr', { role: 'row' },
		el('th', { role: 'rowheader', scope: 'row' }, ...name.nodes, ' ', state),
		el('td', { role: 'cell', class: 'backends', 'data-label': 'Backends' }, ...backends.nodes),
		...numbers);

	return {
		node,
		update(pool)
		{
			name.update(pool);
			put(state, pool.state);
			setClass(state, 'quiet', !pool.paused);
			backends.update(pool);
			put(numbers[0], number(pool.waiting));
			put(numbers[1], pool.waiting > 0 ? duration(pool.longest) : '–');
			put(numbers[2], number(pool.clients));
			put(numbers[3], rate(rateOf.get(pool.key)));
			setClass(node, 'waits', pool.waiting > 0);
			setClass(node, 'full', pool.size > 0 && inUse(pool) >= pool.size);
		}
	};
}

const poolRows = limited(byId('pools-all'), 'pools');

function showPools(now)
{
	const wanted = byId('filter').value.trim().toLowerCase();
	const pools = now.pools.filter((pool) => wanted === '' ||
		(pool.database + ' ' + pool.role).toLowerCase().includes(wanted)).sort(byNeed);

	put(byId('pools-count'), number(now.pools.length + now.status.pools_left_out));
	show(byId('filter-label'), now.pools.length > FIRST_ROWS);
	show(byId('pools-table'), pools.length > 0);
	show(byId('pools-none'), pools.length === 0);
	put(byId('pools-none'), wanted === '' ? 'Nobody has connected yet.' : 'No pool has such a name.');
	keyed(byId('pools-rows'), poolRows.cut(pools, now.status.pools_left_out), (pool) => pool.key, poolRow);
}

/* ---- clients that wait ---- */

// Who it is, on two lines: what it calls itself, and where it comes from.
function clientName()
{
	const application = nameNode();
	const where = el('span', { class: 'where' });

	return {
		nodes: [el('span', { class: 'name' }, application), ' ', where],
		update(client)
		{
			put(application, client.application || 'unnamed');
			setClass(application, 'unnamed', !client.application);
			put(where, [
				client.client ? 'client ' + client.client : '',
				client.address === 'local' ? 'Unix socket' : client.address || ''
			].filter(Boolean).join(', '));
		}
	};
}

function waitRow()
{
	const client = clientName();
	const pool = poolName();
	const wait = cell('Waits for', true);

	return {
		node: el('tr', { role: 'row' },
			el('th', { role: 'rowheader', scope: 'row' }, ...client.nodes),
			cell('Pool', false, ...pool.nodes), wait),
		update(item)
		{
			client.update({ ...item, client: item.id });
			pool.update(item);
			put(wait, duration(seconds(item.waits_ms)));
		}
	};
}

const waitRows = limited(byId('waiting-all'), 'clients');

function showWaiting(now)
{
	put(byId('waiting-count'), now.waiting > 0 ? number(now.waiting) : '');
	show(byId('waiting-table'), now.status.waiting.length > 0);
	show(byId('waiting-none'), now.status.waiting.length === 0);
	keyed(byId('waiting-rows'), waitRows.cut(now.status.waiting, now.status.waiting_left_out), (item) => item.id, waitRow);
}

/* ---- leaks ---- */

const LEAKS = {
	idle_in_transaction: 'Idle in a transaction',
	transaction: 'Transaction open for too long',
	pinned_idle: 'Backend kept, and not used',
	connection_idle: 'Connection that is not used',
	connection_growth: 'Connections that only become more',
	pool_held: 'Pool held, and nobody at work',
	locks: 'Locks that only become more',
	cursors: 'Cursors that only become more',
	temp_objects: 'Temporary objects that only become more',
	prepared_statements: 'Prepared statements that only become more'
};

// One line of evidence: hidden as long as there is nothing to say.
function evidence(label, tag)
{
	const term = el('dt', null, label);
	const text = tag ? el(tag) : nameNode();
	const value = el('dd', null, text);

	return {
		nodes: [term, value],
		update(said)
		{
			show(term, Boolean(said));
			show(value, Boolean(said));
			put(text, said || '', tag === 'code' ? '\n\t' : '');
		}
	};
}

function copyButton(source)
{
	const button = el('button', { type: 'button', class: 'copy' }, 'Copy');
	const said = el('span', { class: 'copied', role: 'status' });

	button.addEventListener('click', () => {
		copy(source).then(() => put(said, 'Copied'), () => put(said, 'Selected: press Ctrl+C'));
		setTimeout(() => put(said, ''), 4000);
	});
	return [button, said];
}

// Without TLS and not on localhost there is no clipboard to write to.
async function copy(source)
{
	if (navigator.clipboard)
		return navigator.clipboard.writeText(source.textContent);
	getSelection().selectAllChildren(source);
	if (!document.execCommand('copy'))
		throw new Error('not copied');
}

const size = (bytes) => bytes < 10240 ? plural(bytes, 'byte') :
	bytes < 10485760 ? integer.format(bytes / 1024) + ' kB' : integer.format(bytes / 1048576) + ' MB';

// What is not said by other fields.
const COUNTED = {
	connection_growth: 'unused connection',
	prepared_statements: 'prepared statement'
};

// What it holds, in words.
function holds(leak)
{
	const said = [];

	if (leak.pin)
		said.push('its backend, because of ' + leak.pin);
	if (leak.locks)
		said.push(leak.locks);
	if (leak.advisory_locks > 0)
		said.push(plural(leak.advisory_locks, 'session-level lock'));
	if (leak.cursors > 0)
		said.push(plural(leak.cursors, 'cursor') + (leak.cursor_names ? ': ' + leak.cursor_names : ''));
	if (leak.temp_objects > 0)
		said.push(plural(leak.temp_objects, 'temporary object') + ', ' + size(leak.temp_bytes));
	if (COUNTED[leak.kind])
		said.push(plural(leak.amount, COUNTED[leak.kind]));
	if (leak.xmin_age > 0)
		said.push('a snapshot, ' + plural(leak.xmin_age, 'transaction') + ' old');
	return said.join('; ');
}

function leakCard()
{
	const title = el('h3');
	const severity = el('span', { class: 'tag' });
	const waits = el('p', { class: 'waits' });
	const client = clientName();
	const pool = poolName();
	const since = el('dd');
	const held = evidence('Holds');
	const first = evidence('First query', 'code');
	const last = evidence('Last query', 'code');
	const statement = el('code');
	const node = el('article', { class: 'leak' },
		el('header', null, title, severity), waits,
		el('dl', null,
			el('dt', null, 'Client'), el('dd', null, ...client.nodes),
			el('dt', null, 'Pool'), el('dd', null, ...pool.nodes),
			el('dt', null, 'Held for'), since,
			...held.nodes, ...first.nodes, ...last.nodes,
			el('dt', null, 'Ended by'), el('dd', { class: 'remedy' }, statement, ...copyButton(statement))));

	return {
		node,
		update(leak)
		{
			put(title, LEAKS[leak.kind] || leak.kind);
			put(severity, leak.severity);
			for (const name of ['critical', 'info'])
				setClass(node, name, leak.severity === name);
			show(waits, leak.waiting > 0);
			put(waits, plural(leak.waiting, 'client waits', 'clients wait') + ' for a backend of its pool');
			client.update(leak);
			pool.update(leak);
			put(since, duration(seconds(leak.held_ms)) + (leak.pid ? ' by process ' + leak.pid : '') +
				'; threshold ' + leak.limit);
			held.update(holds(leak));
			first.update(leak.first_query);
			last.update(leak.last_query !== leak.first_query ? leak.last_query : null);
			put(statement, 'SELECT pooler.end_leaks(id => ' + Number(leak.id) + ');');
		}
	};
}

const SEVERITIES = ['critical', 'warning', 'info'];

const byWeight = (a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
	b.waiting - a.waiting || a.held_since - b.held_since;

const leakCards = limited(byId('leaks-all'), 'leaks');

function showLeaks(now)
{
	put(byId('leaks-count'), now.leaks > 0 ? number(now.leaks) : '');
	show(byId('leaks-none'), now.leaks === 0);
	keyed(byId('leaks-list'), leakCards.cut(now.status.leaks.sort(byWeight), now.status.leaks_left_out), (leak) => leak.id, leakCard);
}

/* ---- plots ---- */

function svg(tag, attributes, ...children)
{
	const node = document.createElementNS(SVG, tag);

	for (const [name, value] of Object.entries(attributes))
		node.setAttribute(name, value);
	node.append(...children);
	return node;
}

// Ticks from 0 for what can be 0, or powers of ten for times.
const scales = {
	linear(values)
	{
		const max = Math.max(1, ...values);
		const power = 10 ** Math.floor(Math.log10(max));
		const top = [1, 2, 3, 5, 10].find((n) => n * power >= max) * power;

		return { ticks: [0, top / 2, top], y: (value) => value / top };
	},
	log(values)
	{
		const positive = values.filter((value) => value > 0);
		const low = Math.floor(Math.log10(Math.min(0.001, ...positive)));
		const high = Math.max(low + 2, Math.ceil(Math.log10(Math.max(0.001, ...positive))));
		const ticks = [];

		for (let power = low; power <= high; power++)
			ticks.push(10 ** power);
		return {
			ticks,
			y: (value) => Math.max(0, (Math.log10(Math.max(value, 1e-9)) - low) / (high - low))
		};
	}
};

/*
 * A plot of some series against time: heading, a key with the values, and the
 * lines.  Who can't see them is told the same in words.
 */
class Plot
{
	constructor({ id, title, note, scale, format, tick, series })
	{
		this.scale = scales[scale];
		this.format = format;
		this.tick = tick;
		this.series = series;
		this.at = null;			// what the pointer is at, else the last sample
		this.samples = [];

		this.values = series.map(() => el('b'));
		this.svg = svg('svg', { role: 'img', height: PLOT_HEIGHT, 'aria-labelledby': id + '-title',
			'aria-describedby': id + '-words' });
		this.words = el('p', { class: 'unseen', id: id + '-words' });
		this.moment = el('span', { class: 'moment' });
		this.node = el('figure', null,
			el('figcaption', null,
				el('h3', { id: id + '-title' }, title), el('span', { class: 'note' }, note), this.moment,
				el('ul', { id: id + '-key' }, ...series.map((one, i) => el('li', { class: one.style },
					el('span', { class: 'line', 'aria-hidden': 'true' }), one.label + ' ', this.values[i])))),
			this.svg, this.words);
		this.svg.addEventListener('pointermove', (event) => this.pointAt(event));
		this.svg.addEventListener('pointerleave', () => this.pointAt(null));
		new ResizeObserver(() => this.draw()).observe(this.svg);
	}

	pointAt(event)
	{
		const area = this.svg.getBoundingClientRect();

		this.at = event && (event.clientX - area.left);
		this.draw();
	}

	update(samples)
	{
		this.samples = samples;
		this.draw();
	}

	draw()
	{
		const width = this.svg.clientWidth;
		const samples = this.samples;

		if (width === 0 || samples.length === 0)
			return;

		const end = samples[samples.length - 1].time;
		const known = (i) => samples.map((sample) => sample[this.series[i].key]).filter(Number.isFinite);
		const all = this.series.flatMap((one, i) => known(i));
		const { ticks, y } = this.scale(all);
		const left = 46;
		const xOf = (time) => left + (width - left - 4) * (1 - (end - time) / HISTORY_S);
		const yOf = (value) => 6 + (PLOT_HEIGHT - 24) * (1 - Math.min(1, y(value)));
		const nodes = [];

		for (const tick of ticks)
		{
			const at = Math.round(yOf(tick)) + 0.5;

			nodes.push(svg('line', { class: 'grid', x1: left, x2: width, y1: at, y2: at }),
				svg('text', { x: left - 6, y: at + 3.5, 'text-anchor': 'end' }, this.tick(tick)));
		}
		for (let ago = 0; ago <= HISTORY_S; ago += HISTORY_S / 2)
			nodes.push(svg('text', {
				x: xOf(end - ago), y: PLOT_HEIGHT - 2,
				'text-anchor': ago === 0 ? 'end' : ago === HISTORY_S ? 'start' : 'middle'
			}, ago === 0 ? 'now' : '−' + ago / 60 + ' min'));
		this.series.forEach((one) => {
			const { lines, dots } = this.paths(one.key, xOf, yOf);

			nodes.push(svg('path', { class: one.style, d: lines }), svg('path', { class: 'dots ' + one.style, d: dots }));
		});

		const chosen = this.chosen(xOf);

		if (this.at !== null)
			nodes.push(svg('line', { class: 'cursor', x1: xOf(chosen.time), x2: xOf(chosen.time), y1: 6, y2: PLOT_HEIGHT - 18 }));
		put(this.moment, this.at === null ? '' : clock(new Date(chosen.time * 1000)));
		this.series.forEach((one, i) => put(this.values[i], this.format(chosen[one.key])));
		this.svg.replaceChildren(...nodes);
		this.tell(known);
	}

	// Lines, and dots for samples that have none next to them.
	paths(key, xOf, yOf)
	{
		const runs = [];
		let before = null;

		for (const sample of this.samples)
		{
			if (!Number.isFinite(sample[key]))
				continue;
			if (before === null || sample.time - before > GAP_S)
				runs.push([]);
			runs[runs.length - 1].push(xOf(sample.time).toFixed(1) + ',' + yOf(sample[key]).toFixed(1));
			before = sample.time;
		}
		return {
			lines: runs.filter((run) => run.length > 1).map((run) => 'M' + run.join('L')).join(''),
			dots: runs.filter((run) => run.length === 1).map((run) => 'M' + run[0] + 'h.1').join('')
		};
	}

	// The sample next to the pointer, or the last.
	chosen(xOf)
	{
		if (this.at === null)
			return this.samples[this.samples.length - 1];
		return this.samples.reduce((best, sample) =>
			Math.abs(xOf(sample.time) - this.at) < Math.abs(xOf(best.time) - this.at) ? sample : best);
	}

	tell(known)
	{
		put(this.words, this.series.map((one, i) => {
			const values = known(i);

			return one.label + ': ' + (values.length === 0 ? 'nothing yet' :
				'now ' + this.format(this.samples[this.samples.length - 1][one.key]) +
				', lowest ' + this.format(Math.min(...values)) +
				', highest ' + this.format(Math.max(...values)));
		}).join('; ') + '.');
	}
}

// A power of ten.
const roundTime = (s) => s < 0.0005 ? Math.round(s * 1e6) + ' µs' :
	s < 0.5 ? Math.round(s * 1e3) + ' ms' : Math.round(s) + ' s';

const percentiles = (of) => [
	{ key: of + '99', label: 'p99', style: 'p99' },
	{ key: of + '95', label: 'p95', style: 'p95' },
	{ key: of + '50', label: 'p50', style: 'p50' }
];

const plots = [
	new Plot({ id: 'plot-wait', title: 'Wait for a backend', note: 'of those who had to wait',
		scale: 'log', format: duration, tick: roundTime, series: percentiles('wait') }),
	new Plot({ id: 'plot-transaction', title: 'Transaction time', note: 'idle in it included',
		scale: 'log', format: duration, tick: roundTime, series: percentiles('transaction') }),
	new Plot({ id: 'plot-rate', title: 'Throughput', note: 'per second',
		scale: 'linear', format: rate, tick: rate, series: [
			{ key: 'transactions', label: 'transactions', style: 'p50' },
			{ key: 'waits', label: 'waits', style: 'p99' }] })
];

/* ---- from the answer to what is shown ---- */

const seconds = (ms) => ms === null || ms === undefined ? null : ms / SECOND;

// Pools have no number: several of one client each may have the same names.
function keyOfPool(pool, seen)
{
	const name = JSON.stringify([pool.database, pool.role, pool.dedicated]);
	const n = (seen.get(name) || 0) + 1;

	seen.set(name, n);
	return name + n;
}

let counted = { now: 0, pools: new Map() };		// transactions, at the answer before
const rateOf = new Map();						// of each pool, by key

// Counters may have been reset, or be another pool's: then nothing is known.
function takeRates(now, pools)
{
	const passed = now - counted.now;

	if (passed <= 0)
		return;					// the same answer again
	rateOf.clear();
	for (const { key, transactions } of pools)
	{
		const more = transactions - counted.pools.get(key);

		if (transactions !== null && more >= 0)
			rateOf.set(key, more / passed);
	}
	counted = { now, pools: new Map(pools.map((pool) => [pool.key, pool.transactions])) };
}

function poolOf(pool, seen)
{
	const b = pool.backends;

	return {
		key: keyOfPool(pool, seen),
		database: pool.database,
		role: pool.role,
		paused: pool.paused,
		state: pool.paused ? 'paused' : pool.dedicated ? 'of one client' : '',
		size: pool.size,
		clients: pool.clients.idle + pool.clients.waiting + pool.clients.active,
		waiting: pool.clients.waiting,
		longest: seconds(pool.longest_wait_ms),
		busy: b.busy,
		pinned: b.pinned,
		idle: b.free + b.lingering,
		starting: b.starting + b.ending,
		backends: b.busy + b.pinned + b.free + b.lingering + b.starting + b.ending,
		transactions: pool.transactions
	};
}

function sampleOf(sample)
{
	const flat = { time: sample.t };

	for (const name of ['transactions', 'queries', 'errors', 'waits', 'failed_logins'])
		flat[name] = sample[name] / sample.seconds;
	for (const kind of ['wait', 'transaction'])
	{
		for (const percent of ['50', '95', '99'])
			flat[kind + percent] = seconds(sample[kind + '_ms'] && sample[kind + '_ms']['p' + percent]);
	}
	return flat;
}

const sum = (list, of) => list.reduce((all, item) => all + of(item), 0);

let shown = null;				// what draw() shows

function take(status)
{
	const seen = new Map();
	const pools = status.pools.map((pool) => poolOf(pool, seen));
	const samples = status.latency.samples.map(sampleOf);

	takeRates(status.now, pools);
	shown = {
		status,
		pools,
		samples,
		last: samples[samples.length - 1] || {},
		busy: sum(pools, (pool) => pool.busy + pool.pinned),
		waiting: sum(pools, (pool) => pool.waiting),
		longest: Math.max(0, ...pools.map((pool) => pool.longest || 0)),
		leaks: status.leaks.length + status.leaks_left_out,
		held: sum(status.leaks, (leak) => leak.waiting > 0 ? 1 : 0)
	};
	draw();
}

function draw()
{
	if (!shown)
		return;
	showHealth(shown.status);
	showFigures();
	showPools(shown);
	showWaiting(shown);
	showLeaks(shown);
	for (const plot of plots)
		plot.update(shown.samples);
	tellNews();
	put(byId('about'), 'pooler ' + shown.status.version + ', PostgreSQL ' + shown.status.postgres +
		(shown.status.status.started === null ? '' :
			', pooler up for ' + duration(Math.floor(shown.status.now - shown.status.status.started))));
}

// For who does not see it: only that something has begun or is over.
let told = null;

function tellNews()
{
	const state = [
		shown.waiting > 0 ? 'Clients wait for a backend' : 'No client waits',
		shown.leaks > 0 ? plural(shown.leaks, 'leak') : 'No leaks'
	].join('. ');

	if (told !== null && state !== told)
		put(byId('news'), state);
	told = state;
}

/* ---- asking ---- */

const asking = {
	paused: false,				// by the button
	busy: false,				// an answer is awaited
	timer: null,
	answered: null,				// when the last answer came
	trouble: ''					// why there is none since
};

async function fetchStatus()
{
	const response = await fetch('status.json', { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS) })
		.catch((error) => {
			throw new Error(error.name === 'TimeoutError' ?
				'no answer within ' + ANSWER_MS / SECOND + ' seconds' : 'no connection');
		});

	if (!response.ok)
		throw new Error('it says ' + response.status + ' ' + response.statusText);
	return response.json();
}

async function ask()
{
	if (asking.busy)
		return;
	clearTimeout(asking.timer);
	asking.busy = true;
	try
	{
		take(await fetchStatus());
		asking.answered = new Date();
		asking.trouble = '';
	}
	catch (error)
	{
		asking.trouble = error.message;
	}
	asking.busy = false;
	showAge();
	if (!asking.paused && !document.hidden)
		asking.timer = setTimeout(ask, POLL_MS);
}

// How old what is shown is, and whether more is to come.
function showAge()
{
	const age = asking.answered ? Date.now() - asking.answered : 0;
	const old = asking.trouble !== '' || (!asking.paused && age > STALE_MS + POLL_MS);
	const then = asking.answered ? clock(asking.answered) : '';

	if (document.hidden)
		return;
	setClass(document.body, 'old', old);
	put(byId('fresh-text'), !then ? '' :
		asking.paused ? 'Paused at ' + then :
		old ? 'Last answer ' + duration(Math.round(age / 1000)) + ' ago' : 'Updated ' + then);
	put(byId('banner'), asking.trouble !== '' ?
		'The server can’t be reached (' + asking.trouble + '). ' +
		(then ? 'What is shown is of ' + then + '. ' : '') +
		(asking.paused ? '' : 'Trying again every few seconds.') :
		old ? 'What is shown is old: no answer since ' + then + '.' : '');
	if (old)
		setHealth('not known');
}

function togglePause()
{
	asking.paused = !asking.paused;
	byId('pause').setAttribute('aria-pressed', String(asking.paused));
	if (asking.paused)
		clearTimeout(asking.timer);
	else
		ask();
	showAge();
}

function start()
{
	showKey();
	put(byId('instance'), location.host);
	byId('plots').append(...plots.map((plot) => plot.node));
	put(byId('plots-minutes'), HISTORY_S / 60);
	for (const rows of [poolRows, waitRows, leakCards])
		rows.onChange(draw);
	byId('filter').addEventListener('input', draw);
	byId('pause').addEventListener('click', togglePause);
	document.addEventListener('visibilitychange', () => {
		clearTimeout(asking.timer);
		if (!document.hidden && !asking.paused)
			ask();
	});
	setInterval(showAge, 1000);
	ask();
}

start();

})();
