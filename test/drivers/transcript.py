# transcript.py
#
# What the Python programs share: the transcript of a session, and what is
# expected of it.

import sys
import threading

failures = 0
lock = threading.Lock()


def complain(text):
    """Count a failure and tell about it, but go on."""
    global failures
    with lock:
        failures += 1
        print(text, file=sys.stderr, flush=True)


class Transcript:
    """The lines of one session, kept until all sessions have ended: sessions
    run side by side, and their lines would mix."""

    def __init__(self, name):
        self.name = name
        self.lines = []

    def say(self, label, *values):
        text = ' '.join(short(value) for value in values)
        self.lines.append(f'{self.name}: {label}: {text}')

    def expect(self, label, got, wanted):
        self.say(label, got)
        if got != wanted:
            complain(f'{self.name}: {label}: got {short(got)}, '
                     f'expected {short(wanted)}')

    def died(self, error):
        self.lines.append(f'{self.name}: died')
        complain(f'{self.name}: {type(error).__name__}: {error}'
                 f' (after "{self.lines[-2] if len(self.lines) > 1 else ""}")')


def short(value):
    """A value as text; a long one by its beginning, length and checksum."""
    text = repr(value)
    if len(text) <= 300:
        return text
    return f'{text[:40]}... {len(text)} {checksum(text.encode())}'


def checksum(data):
    value = 0
    for start in range(0, len(data), 4096):
        for byte in data[start:start + 4096:97]:
            value = (value * 31 + byte) % 1000003
    return value


def finish(transcripts):
    """Print everything, and exit: 0 if all went as expected."""
    for transcript in transcripts:
        print('\n'.join(transcript.lines))
    print('end')
    sys.exit(1 if failures else 0)
