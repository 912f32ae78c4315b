# Request bodies of any size and framing arrive whole, as with proxy_pass.

use strict;
use warnings;

use Digest::SHA   qw(sha256_hex);
use Idpay::Filler qw(filler);
use Test::Idpay;
use Test::Idpay::Client qw(send_bytes);
use Test::Idpay::Pass qw(compare servers);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');

# At 8080, and with proxy_pass at 8081.
my $servers = servers(<<'CONF');
        client_body_buffer_size  16k;
        client_max_body_size     200m;

        location / {
            idpay_pass gate;
        }

        location /file/ {
            client_body_buffer_size  1k;
            idpay_pass gate;
        }

        location /single/ {
            client_body_in_single_buffer  on;
            idpay_pass gate;
        }

        location /kept/ {
            client_body_in_file_only  clean;
            idpay_pass gate;
        }

        location /unbuffered/ {
            proxy_request_buffering  off;
            idpay_pass gate;
        }

        location /none/ {
            proxy_pass_request_body  off;
            proxy_set_header         Content-Length "";
            proxy_read_timeout       1s;
            idpay_pass gate;
        }

        location /small/ {
            client_max_body_size  1k;
            idpay_pass gate;
        }
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    %%UPSTREAM_gate%%
    upstream plain_gate { server %%SIM_gate%%; keepalive 8; }

    idpay_trusted_certificate %%CA%%;

$servers
}
CONF

$t->run;


# The answer and the request of the call, which are as with proxy_pass.
sub both {
    my ($name, $method, $uri, %opt) = @_;
    return compare($t, $sim, $name, $method, $uri, undef, %opt);
}


# Code that yields $count pieces of a megabyte, then nothing.
sub megabytes {
    my $count = shift;

    my $at = 0;
    return sub {
        return $at < $count ? filler($at++ * 1_000_000, 1_000_000) : '';
    };
}


my @places = qw(/ /file/ /single/ /kept/);

for my $place (@places) {
    subtest $place => sub {
        for my $size (0, 1, 1023, 1025, 16_384, 16_385, 300_000) {
            my $body = filler(0, $size);
            my $hash = sha256_hex($body);

            for my $chunked (0, 1) {
                my $name = $chunked ? "$size bytes, chunked" : "$size bytes";
                my ($r, $got) = both($name, PUT => $place, body => $body,
                    chunked => $chunked);
                is $r->status, 200, "$name: taken";
                is $got->{length}, $size, "$name: the length";
                is $got->{sha256}, $hash, "$name: the bytes" if $size;
            }
        }
    };
}


# A call that may be repeated needs its body kept: it is always buffered, and
# has a length then.
subtest '/unbuffered/' => sub {
    for my $size (0, 1, 16_385, 300_000) {
        my $body = filler(0, $size);
        for my $chunked (0, 1) {
            is $t->http(PUT => '/unbuffered/', body => $body,
                chunked => $chunked)->status, 200, "$size bytes";
            is $sim->last_request->{body_sha256}, sha256_hex($body),
                "$size bytes: all of them" if $size;
        }
    }
};


subtest 'other settings' => sub {
    my (undef, $got) = both('not passed', POST => '/none/', body => 'abc');
    is $got->{length}, 0, 'proxy_pass_request_body off';
    both('GET with a body', GET => '/', body => 'abc');
    both('a type of its own', POST => '/', body => '{}',
        headers => [ [ 'Content-Type', 'application/json' ] ]);
    both('no length at all', POST => '/');

    $sim->clear;
    for my $port (8080, 8081) {
        my $r = $t->post('/small/', 'x' x 2000, port => $port);
        is $r->status, 413, "too large: 413 at $port";
        like $r->header('Content-Type'), qr{^text/html}, "nginx's own page";
    }
    is_deeply $sim->requests, [], 'and no call';
};


subtest 'a body that comes in pieces' => sub {
    for my $uri ('/', '/unbuffered/') {
        $sim->clear;
        my $socket = $t->http(POST => $uri, port => 8080, no_read => 1,
            raw => "POST $uri HTTP/1.1\r\nHost: a\r\n"
                . "Transfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhe");
        send_bytes($socket, $_) for "llo\r", "\n", "1\r\n!\r\n0", "\r\n",
            "T: trailer\r\n\r\n";
        is $t->read_response($socket, 'POST')->status, 200, "$uri: an answer";
        is $sim->last_request->{body}, 'hello!', "$uri: put together";
    }
};


subtest 'refused bodies' => sub {
    for my $raw (
        "Content-Length: x\r\n\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\nno chunk\r\n\r\n",
        )
    {
        $sim->clear;
        my ($ours, $theirs)
            = map { $t->http(POST => '/', port => $_,
                raw => "POST / HTTP/1.1\r\nHost: a\r\n$raw") } 8080, 8081;
        my ($name) = split /\r\n\r\n/, $raw;
        is $ours->status, $theirs->status, "$name: " . $ours->status;
        is_deeply $sim->requests, [], "$name: no call";
    }
};


subtest '100 MB' => sub {
    my $hash = do {
        my $sha  = Digest::SHA->new(256);
        my $next = megabytes(100);
        while (length(my $piece = $next->())) { $sha->add($piece) }
        $sha->hexdigest;
    };

    my ($worker) = $t->worker_pids;
    my $memory = sub {
        open my $file, '<', "/proc/$worker/status" or die $!;
        return (map { /^VmHWM:\s+(\d+)/ ? $1 : () } <$file>)[0];
    };
    my $before = $memory->();

    for my $uri ('/', '/unbuffered/') {
        $sim->clear;
        my $r = $t->http(PUT => $uri, body => megabytes(100),
            headers => [ [ 'Content-Length', 100_000_000 ] ], timeout => 60);
        is $r->status, 200, "$uri: an answer";
        is $r->json->{body_sha256}, $hash, "$uri: all of it";
    }

    SKIP: {
        skip 'instrumented', 1 if $t->instrumented;
        cmp_ok $memory->() - $before, '<', 8192, 'in less than 8 MB of memory';
    }
    ok wait_until(20, sub { !glob $t->dir . '/client_body_temp/*' }),
        'no temporary file stays';
};

done_testing;
