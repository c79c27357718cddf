"""A callback handler as a Flask application is one: WSGI, no memory, and it approves what it has no words for.

Arguments: port, public key of the co-signer, own private key, URL of the mirror. Prints a line when it listens.
"""
import base64
import json
import subprocess
import sys
import tempfile
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from copy_to_mirror import CopyToMirror

PORT, COSIGNER, OWN, MIRROR = sys.argv[1:]


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=')


def decoded(text):
    return base64.urlsafe_b64decode(text + b'=' * (-len(text) % 4))


def signed(claims):
    text = encoded(b'{"alg":"RS256","typ":"JWT"}') + b'.' + encoded(json.dumps(claims).encode())
    signature = subprocess.run(['openssl', 'dgst', '-sha256', '-sign', OWN], input=text, capture_output=True, check=True)
    return text + b'.' + encoded(signature.stdout)


def verified(token):
    head, payload, signature = token.split(b'.')
    with tempfile.NamedTemporaryFile() as file:
        file.write(decoded(signature))
        file.flush()
        subprocess.run(['openssl', 'dgst', '-sha256', '-verify', COSIGNER, '-signature', file.name],
                       input=head + b'.' + payload, capture_output=True, check=True)
    return json.loads(decoded(payload))


def app(environ, start_response):
    body = environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
    try:
        claims = verified(body)
    except (ValueError, subprocess.CalledProcessError):
        start_response('401 Unauthorized', [('Content-Type', 'text/plain')])
        return [b'unauthorized']
    action = 'REJECT' if claims.get('amount', 0) > 10 else 'APPROVE'
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [signed({'action': action, 'requestId': claims['requestId']})]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


server = make_server('127.0.0.1', int(PORT), CopyToMirror(app, MIRROR), handler_class=Quiet)
print('listening', flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    # Copies are on their way beside the answers.
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join()
