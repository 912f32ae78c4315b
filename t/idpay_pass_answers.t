# What comes back through idpay_pass is what comes back through proxy_pass:
# methods, statuses, framings, interim answers, and answers that are broken.

use strict;
use warnings;

use Idpay::Filler qw(filler);
use Test::Idpay;
use Test::Idpay::Pass qw(compare servers);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');

# At 8080, and with proxy_pass at 8081.
my $servers = servers(<<'CONF');
        location / {
            idpay_pass gate;
        }

        location /problem/ {
            idpay_errors on;
            idpay_pass gate/;
        }

        location /switch {
            idpay_pass gate;
            proxy_read_timeout 300ms;
        }
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    absolute_redirect off;

    %%UPSTREAM_gate%%
    upstream plain_gate { server %%SIM_gate%%; keepalive 8; }

    idpay_trusted_certificate %%CA%%;
    idpay_errors off;

$servers
}
CONF

$t->run;


sub both { return compare($t, $sim, @_) }


subtest 'methods' => sub {
    for my $method (qw(GET OPTIONS PUT DELETE PATCH POST)) {
        is both($method, $method, '/a?b=c')->json->{method}, $method,
            "$method arrives";
    }
    for my $method (qw(PUT DELETE PATCH POST)) {
        is both("$method, body", $method, '/a', undef, body => 'abc')
            ->json->{body_length}, 3, "$method with a body";
    }

    my $r = both('HEAD', HEAD => '/__bytes/100000');
    is $r->header('Content-Length'), 100_000, 'HEAD keeps the length';
    my $next = $t->get('/__bytes/10', socket => $r->socket);
    is $next->raw =~ m{^HTTP/1.1 200}, 1, 'and brings no body';
    is $next->body, filler(0, 10), 'the connection goes on';
};


subtest 'conditions' => sub {
    my $with = sub {
        my ($status, @header) = @_;
        my $r = both("@header", GET => '/__bytes/100000', undef,
            headers => [ [@header] ]);
        is $r->status, $status, "@header: $status";
        return $r;
    };

    is $with->(206, Range => 'bytes=70000-70009')->body, filler(70_000, 10),
        'the bytes of the range';
    $with->(206, Range => 'bytes=-5');
    $with->(416, Range => 'bytes=100000-');
    $with->(304, 'If-None-Match' => '"bytes-100000"');
    $with->(200, 'If-None-Match' => '"other"');
};


subtest 'statuses' => sub {
    for my $status (qw(200 201 202 203 204 301 302 307 400 402 403 404 405 409
        422 429 451 500 501 502 503 504 599))
    {
        is both($status, POST => '/a',
            { status => $status, $status == 204 ? () : (body => "s $status") },
            body => '{}')->status, $status, "$status passes";
    }
    is both('no reason', GET => '/',
        { raw => "HTTP/1.1 418\r\nContent-Length: 0\r\n\r\n" })->status, 418,
        'a status without a reason';
    like both('own reason', GET => '/',
        { raw => "HTTP/1.1 210 So So\r\nContent-Length: 0\r\n\r\n" })->raw,
        qr{^HTTP/1.1 210 So So\r\n}, 'a reason of its own';
};


subtest 'headers' => sub {
    both('many', GET => '/', {
        body    => 'x',
        headers => [
            map { [@$_] }[ 'X-A', '1' ], [ 'x-a', '2' ], [ 'Vary', 'Accept' ],
            [ 'Link', '</a>; rel="b"' ], [ 'Retry-After', '3' ],
            [ 'Cache-Control', 'no-store' ], [ 'ETag', '"e"' ],
            [ 'Last-Modified', 'Fri, 20 Nov 2020 10:00:00 GMT' ],
            [ 'Content-Type', 'text/plain; charset=utf-8' ],
            [ 'Server', 'theirs' ], [ 'X-Accel-Foo', '1' ],
            [ 'Content-Language', 'pt' ], [ 'X-Long', 'l' x 2000 ],
        ],
    });
    for my $to ('/x?y', 'https://generic.test/x?y', '//other/x', '') {
        both("to $to", GET => '/',
            { status => 302, headers => [ [ Location => $to ] ], body => '' });
    }
};


subtest 'framings' => sub {
    my $big = filler(0, 300_000);

    is both('chunked', GET => '/', { chunked => 1, body => $big })->body, $big,
        'chunked';
    both('chunked, empty', GET => '/', { chunked => 1, body => '' });
    both('empty', GET => '/', { body => '' });
    is both('close', GET => '/',
        { raw => "HTTP/1.0 200 OK\r\nX-A: b\r\n\r\n$big" })->body, $big,
        'as in HTTP/1.0';
    both('close, empty', GET => '/', { raw => "HTTP/1.0 200 OK\r\n\r\n" });
    both('after', GET => '/', { close => 'after_answer', body => 'b' });
    both('trickle', GET => '/', { trickle_ms => 1, body => 'x' x 30 });
    both('trailers', GET => '/', {
        raw => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
            . "Trailer: T\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n",
    });
    both('too much', GET => '/',
        { raw => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcd" });
    both('HTTP/1.0 caller', GET => '/', { chunked => 1, body => $big },
        raw => "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
};


subtest 'interim answers' => sub {
    my $kept  = $sim->open_connections;
    my $final = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    # They are passed over: what counts is the answer that follows.
    for my $interim (
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
        . "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n",
        )
    {
        for my $slow (0, 1) {
            $sim->behave->clear->misbehave(raw => "$interim$final",
                $slow ? (trickle_ms => 1) : ());
            my $r = $t->post('/', 'abc');
            is_deeply [ $r->status, $r->body, scalar $r->header('Link') ],
                [ 200, 'ok', undef ], 'the final answer';
            is scalar $r->interim, 0, 'and nothing else';
            is scalar @{ $sim->requests }, 1, 'of one request';
        }
    }

    $sim->behave->misbehave(times => 2,
        raw => "HTTP/1.1 100 Continue\r\n\r\n" x 17 . $final);
    is $t->get('/')->status, 502, 'too many of them';

    my $r = both('Expect', POST => '/', undef, body => 'abc',
        headers => [ [ Expect => '100-continue' ] ]);
    is_deeply [ map { $_->status } $r->interim ], [100], 'nginx says continue';
    is $r->json->{body_length}, 3, 'and the body arrives';

    # An answer that switches protocols, asked for or not, opens no tunnel:
    # what the caller sends next does not reach the provider.
    my $switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
        . "Connection: Upgrade\r\n\r\n";
    my $call = "GET /switch HTTP/1.1\r\nHost: a\r\n";

    for my $ask ('', "Upgrade: x\r\nConnection: Upgrade\r\n") {
        $sim->behave->clear->misbehave(raw => $switch, keep => 1);
        $t->http(GET => '/', port => 8080,
            raw => "$call$ask\r\nthrough the tunnel");
        ok wait_until(20, sub { $sim->open_connections <= $kept }),
            'the connection is not kept';
        my $seen = $sim->wait_requests(1);
        is scalar @$seen, 1, 'one request';
        unlike $seen->[0]{raw}, qr/^(?:Upgrade|Connection):|tunnel/mi,
            'and nothing of a switch';
    }
};


# However an error comes, it is the same problem, and another call follows.
subtest 'errors as problems' => sub {
    my $head = "HTTP/1.1 404 No\r\nX-Theirs: th\r\n";
    my $body = '{"theirs":1}';
    my %frame = (
        'with a length' => { status => 404, body => $body },
        'empty'         => { status => 404, body => '' },
        'chunked'       => { status => 404, body => $body, chunked => 1 },
        'byte by byte'  => { status => 404, body => $body, trickle_ms => 1 },
        'big'           => { status => 404, body => 'x' x 300_000 },
        'big, chunked'  =>
            { status => 404, body => 'x' x 300_000, chunked => 1 },
        'as in HTTP/1.0' => { raw => "HTTP/1.0 404 No\r\n\r\n$body" },
        'closed after'  =>
            { status => 404, body => $body, close => 'after_answer' },
        'too much'      =>
            { raw => "${head}Content-Length: 2\r\n\r\nxyzx" },
        'half of it'    =>
            { status => 404, body => $body, truncate => 'mid_body' },
        'half of the chunks' => { status => 404, body => $body,
            truncate => 'mid_body', chunked => 1 },
        'after another' => {
            raw => "HTTP/1.1 103 Early Hints\r\nX-Theirs: th\r\n\r\n"
                . "${head}Content-Length: 2\r\n\r\nno"
        },
        'with trailers' => {
            raw => "${head}Transfer-Encoding: chunked\r\n\r\n"
                . "3\r\nxyz\r\n0\r\nX-Theirs: th\r\n\r\n"
        },
    );
    my $want = [ 404, 'not_found', 404, 1 ];

    for my $name (sort keys %frame) {
        for my $method (qw(GET POST HEAD)) {
            next if $method eq 'HEAD' && $frame{$name}{raw};

            $sim->behave->clear->misbehave(%{ $frame{$name} });
            my $r = $t->http($method, '/problem/',
                $method eq 'POST' ? (body => '{}') : ());
            my $told = $method eq 'HEAD' ? {} : $r->json // {};

            ok $r->complete, "$name, $method: complete";
            is_deeply [ $r->status,
                @$told{qw(code provider_status attempts)} ],
                $method eq 'HEAD' ? [ 404, (undef) x 3 ] : $want,
                'the problem';
            is $r->header('Content-Type'), 'application/problem+json',
                'its type';
            is $r->header('X-Theirs'), undef, 'nothing of theirs';
            unlike $r->body, qr/theirs|xxx|xyz/, 'nor of the body';
            is scalar @{ $sim->requests }, 1, 'one request';

            my $next = $t->get('/problem/__bytes/10', socket => $r->socket);
            is $next->body, filler(0, 10), 'the connection goes on';
        }
    }

    for my $status (200, 204, 206, 301, 302, 307, 304) {
        is both("$status with errors on", GET => '/problem/', {
            status => $status,
            $status == 204 || $status == 304 ? () : (body => "s $status"),
        })->status, $status, "$status is none";
    }
    $sim->behave;
};


# Where proxy_pass has a page of nginx's own, idpay_pass has a problem.
sub broken {
    my ($name, %rule) = @_;

    $sim->behave->misbehave(%rule, times => -1);

    is $t->get('/', port => 8081)->status, 502, "$name: proxy_pass"
        if $name ne 'garbage';

    my $r = $t->get('/');
    $sim->behave;

    is $r->status, 502, "$name: 502";
    is $r->json->{code}, 'provider_error', "$name: the code";
    ok $r->complete, "$name: complete";
    return;
}


subtest 'no answer' => sub {
    # to proxy_pass that is an answer of HTTP/0.9
    broken('garbage', raw => "\0\1garbage\r\n\r\n");

    broken('half a header', raw => "HTTP/1.1 200 OK\r\nX: ");
    broken('bad header', raw => "HTTP/1.1 200 OK\r\n\0: 1\r\n\r\n");
    broken('huge header',
        body => 'b', headers => [ [ 'X-Long', 'l' x 20_000 ] ]);
    broken('reset', reset => 'before_header');
    broken('closed', close => 'no_answer');
};


subtest 'half an answer' => sub {
    for my $how ({ truncate => 'mid_body' }, { reset => 'mid_body' }) {
        my ($kind) = keys %$how;
        for my $frame ({}, { chunked => 1 }) {
            my $name = join ' ', $kind, keys %$frame;

            # a reset may overtake bytes: only that it is incomplete is sure
            $sim->behave->misbehave(%$how, %$frame, body_size => 400_000,
                times => 2);
            my ($idpay, $plain)
                = map { $t->get('/half', port => $_) } 8080, 8081;

            is $idpay->status, 200, "$name: begun";
            is $idpay->complete, 0, "$name: not complete";
            is $idpay->complete, $plain->complete, "$name: as with proxy_pass";
            is $idpay->error, $plain->error, "$name: and ended alike";
            is $idpay->body, filler(0, $idpay->length), "$name: what came";
            is $idpay->length, $plain->length, "$name: all of it"
                if $kind eq 'truncate';
        }
    }
    $sim->behave;
    is $t->get('/__bytes/10')->body, filler(0, 10), 'the next call is whole';
};

done_testing;
