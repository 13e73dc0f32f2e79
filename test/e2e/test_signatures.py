"""The control plane's verification against botocore's signing: the same sigv4 code signs in the
agent, so what both get wrong would show here."""
import json
import textwrap

from wire import last, registered

SIGN = textwrap.dedent("""
    import base64, hashlib, http.client, json, os, random, socket, struct, sys, urllib.parse
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    HOST = '127.0.0.1:51670'
    key, secret, arn = sys.argv[1:4]

    def sign(method, target, body=b'', headers={}, token=None, secret=secret):
        request = AWSRequest(method, 'http://' + HOST + target, data=body,
                             headers={'Host': HOST, **headers})
        SigV4Auth(Credentials(key, secret, token), 'ecs', 'us-east-1').add_auth(request)
        return dict(request.headers.items())
""")

REQUESTS = SIGN + textwrap.dedent("""
    seed = random.SystemRandom().randrange(1 << 32)
    rnd = random.Random(seed)

    def word(letters='abz AZ09-_.~/:&=?%$(*äß€', most=8):
        return ''.join(rnd.choice(letters) for _ in range(rnd.randrange(most)))

    def quoted(text):
        return urllib.parse.quote(text, safe='-_.~')

    def send(method, target, body, headers):
        c = http.client.HTTPConnection(HOST)
        c.request(method, target, body or None, headers)
        r = c.getresponse()
        return r.status, r.headers.get('x-amzn-ErrorType', ''), r.read()

    def request():
        path = '/' + '/'.join(quoted(word(most=5)) for _ in range(rnd.randrange(4)))
        while '//' in path or '/.' in path:
            path = path.replace('//', '/').replace('/.', '/')
        query = '&'.join(quoted(word()) + '=' + quoted(word()) for _ in range(rnd.randrange(5)))
        query = '&'.join(p for p in query.split('&') if not p.startswith('='))
        target = path + ('?' + query if query else '')
        body = json.dumps({word(): word(most=200)}).encode()
        headers = {'X-Amz-Target': 'AmazonEC2ContainerServiceV20141113.ListClusters',
                   'X-Own-' + str(rnd.randrange(9)): '  ' + quoted(word()) + '   x  '}
        return rnd.choice(['POST', 'PUT']), target, body, headers, \\
            rnd.choice([None, base64.b64encode(rnd.randbytes(30)).decode()])

    problems, refused = [], 0
    for i in range(150):
        method, target, body, headers, token = request()
        signed = sign(method, target, body, headers, token)
        status, error, text = send(method, target, body, signed)
        if status == 403:
            problems.append(('refused', method, target, signed, error))
        what = rnd.randrange(5)
        if what == 0:
            body += b' '
        elif what == 1:
            target += ('&' if '?' in target else '?') + 'x=y'
        elif what == 2:
            signed['X-Amz-Target'] += 's'
        elif what == 3:
            a = signed['Authorization']
            signed['Authorization'] = a[:-1] + ('0' if a[-1] != '0' else '1')
        else:
            signed = sign(method, target, body, headers, token, secret + 'x')
        status, error, text = send(method, target, body, signed)
        if status != 403 or error != 'InvalidSignatureException':
            problems.append(('taken', what, method, target, signed, status, error))
    for unsigned in ('X-Amz-Security-Token', 'X-Amz-Target'):
        signed = sign('POST', '/', b'{}')
        status, error, text = send('POST', '/', b'{}', {**signed, unsigned: 'added'})
        if error != 'InvalidSignatureException':
            problems.append((unsigned, status, error))
    print(json.dumps({'seed': seed, 'problems': problems}, default=str))
""")

TCS = SIGN + textwrap.dedent("""
    def exactly(s, n):
        data = b''
        while len(data) < n:
            more = s.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def handshake(target, **more):
        s = socket.create_connection(('127.0.0.1', 51670))
        headers = {**sign('GET', target, **more), 'Upgrade': 'websocket', 'Connection': 'Upgrade',
                   'Sec-WebSocket-Key': base64.b64encode(b'0' * 16).decode(),
                   'Sec-WebSocket-Version': '13'}
        s.sendall((f'GET {target} HTTP/1.1\\r\\n' + ''.join(
            f'{k}: {v}\\r\\n' for k, v in headers.items()) + '\\r\\n').encode())
        answer = b''
        while b'\\r\\n\\r\\n' not in answer:
            answer += exactly(s, 1)
        return s, int(answer.split()[1])

    def write(s, text):
        n = len(text)
        head = struct.pack('!BBH', 0x81, 0xfe, n) if n > 125 else struct.pack('!BB', 0x81, 0x80 | n)
        s.sendall(head + b'\\0\\0\\0\\0' + text)

    def read(s):
        while True:
            kind, n = exactly(s, 2)
            if n == 126:
                n, = struct.unpack('!H', exactly(s, 2))
            data = exactly(s, n)
            message = json.loads(data)
            if message['type'] != 'HeartbeatMessage':
                return message['type']

    def frame(message, target, **more):
        body = json.dumps(message).encode()
        headers = sign('GET', target, body, **more)
        return ''.join(f'{k}: {v}\\r\\n' for k, v in headers.items()).encode() + b'\\r\\n' + body

    query = urllib.parse.urlencode({'agentHash': 'x', 'agentVersion': '1', 'cluster': 'default',
                                    'containerInstance': arn})
    target = '/ws?' + query
    _, refused = handshake(target, secret='wrong')
    s, upgraded = handshake(target)
    idle = {'type': 'PublishMetricsRequest', 'message': {
        'metadata': {'cluster': 'default', 'containerInstance': arn, 'messageId': 'm', 'fin': True,
                     'idle': True}, 'timestamp': 1700000000.123}}
    health = {'type': 'PublishHealthRequest', 'message': {
        'metadata': {'cluster': 'default', 'containerInstance': arn, 'messageId': 'h', 'fin': True},
        'tasks': [], 'timestamp': 1700000000}}
    strange = json.loads(json.dumps(idle))
    strange['message']['metadata']['idle'] = 'yes'
    answers = []
    for text in (frame(idle, target), frame(health, target), frame(idle, target, token='t'),
                 frame(idle, target, secret='wrong'), frame(idle, target + '&x=y'),
                 frame(idle, target)[:-1] + b' ', frame({'type': 'Other'}, target), frame(strange, target),
                 json.dumps(idle).encode(), b'x'):
        write(s, text)
        answers.append(read(s))
    print(json.dumps([refused, upgraded, answers]))
""")


def python(agent, code, *arguments):
    return json.loads(agent.host.run("/usr/bin/python3", "-c", code, *arguments).stdout)


def test_random_requests_signed_by_botocore(agent):
    """B4: right ones are taken, altered ones refused."""
    out = python(agent, REQUESTS, *agent.keys(), "")
    assert out["problems"] == [], out


def test_telemetry_is_signed_frame_by_frame(agent):
    """B5, and the control plane's side of B6: handshake and each frame are verified, recorded and
    acknowledged."""
    before = last(agent)
    refused, upgraded, answers = python(agent, TCS, *agent.keys("agent"),
                                        registered(agent)["containerInstanceArn"])
    assert (refused, upgraded) == (403, 101)
    assert answers == ["AckPublishMetric", "AckPublishHealth", "AckPublishMetric",
                       "InvalidSignatureException", "InvalidSignatureException",
                       "InvalidSignatureException", "InvalidParameterException",
                       "SerializationException", "BadRequestException", "BadRequestException"]
    recorded = agent.record("message", "tcs", before)
    assert len(recorded) == len(answers) and ["error" in r for r in recorded] == [
        False] * 3 + [True] * 7
    assert recorded[0]["body"]["message"]["metadata"]["idle"] is True
    assert len(agent.record("handshake", "tcs", before)) == 2
