// transcript.mjs
//
// What the programs for Node.js share: the transcript of a session, and what
// is expected of it.

export const SESSIONS = 5;
export const ROUNDS = 8;
export const ZONES = ['Asia/Tokyo', 'Europe/Paris', 'America/Lima', 'UTC',
	'Africa/Cairo'];
export const ALONE = process.env.DRIVERS_ALONE !== '0';
export const TIMEOUT = 20000;

let failures = 0;
const transcripts = [];

function complain(text) {
	failures++;
	console.error(text);
}

// A value as text; a long one by its beginning, length and checksum.
function short(value) {
	const text = typeof value === 'string' ? value : JSON.stringify(value) ?? 'undefined';
	if (text.length <= 300)
		return text.replaceAll('\n', '\\n');
	let sum = 0;
	for (let i = 0; i < text.length; i += 7)
		sum = (sum * 31 + text.charCodeAt(i)) % 1000003;
	return `${text.slice(0, 40).replaceAll('\n', '\\n')}... ${text.length} ${sum}`;
}

// The lines of one session, kept until all sessions have ended: sessions run
// side by side, and their lines would mix.
export class Transcript {
	constructor(name) {
		this.name = name;
		this.lines = [];
		transcripts.push(this);
	}

	// It is not printed.
	leaveOut() {
		transcripts.splice(transcripts.indexOf(this), 1);
	}

	say(label, ...values) {
		this.lines.push(`${this.name}: ${label}: ${values.map(short).join(' ')}`);
	}

	expect(label, got, wanted) {
		this.say(label, got);
		if (JSON.stringify(got) !== JSON.stringify(wanted))
			complain(`${this.name}: ${label}: got ${short(got)}, expected ${short(wanted)}`);
	}

	died(error) {
		const last = this.lines.at(-1) ?? '';
		this.lines.push(`${this.name}: died`);
		const place = error.stack?.split('\n').find((line) => /with_\w+\.mjs/.test(line));
		complain(`${this.name}: ${error.message}${place ?? ''} (after "${short(last)}")`);
	}

	// An error with this code.
	async fails(label, wanted, promise) {
		try {
			await promise;
		} catch (error) {
			if (error.severity)
				this.say(label, error.message);
			this.expect(`${label}: code`, error.code, wanted);
			return;
		}
		this.expect(`${label}: code`, null, wanted);
	}
}

export async function part(name, step) {
	try {
		await step();
	} catch (error) {
		new Transcript(name).died(error);
	}
}

// A promise, or an error if nothing comes in time.
export function inTime(promise, what) {
	let timer;
	return Promise.race([promise, new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`no ${what} in time`)), TIMEOUT);
	})]).finally(() => clearTimeout(timer));
}

// Print everything, and exit: 0 if all went as expected.
export function finish() {
	const text = transcripts.flatMap((t) => t.lines).join('\n');
	process.stdout.write(`${text}\nend\n`, () => process.exit(failures ? 1 : 0));
}
