# Callers that speak HTTP/2 get what callers of HTTP/1.1 get.

use strict;
use warnings;

use Digest::SHA   qw(sha256_hex);
use Idpay::Filler qw(filler);
use Test::Idpay;
use Test::Idpay::Client qw(connect_to send_bytes);
use Test::Idpay::Pass qw(sent servers);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $version = `curl --version` // '';
plan skip_all => 'no curl with HTTP2 here' if $version !~ /\bHTTP2\b/;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');
my $key = $t->secret_value('key');

# At 8080, and with proxy_pass at 8081.
my $servers = servers(<<'CONF', 'http2');
        location / { idpay_errors off; idpay_pass gate; }
        location /problem/ { idpay_pass gate; }
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    %%UPSTREAM_gate%%
    upstream plain_gate { server %%SIM_gate%%; keepalive 8; }

    idpay_trusted_certificate %%CA%%;
    client_max_body_size 10m;
    client_body_buffer_size 16k;

$servers
}
CONF

$t->run;

my $n = 0;


# A running curl; its files lie in the test's directory.
sub start {
    my ($port, $uri, @options) = @_;

    my $base = 'curl' . $n++;
    my $dir  = $t->dir;

    return {
        base    => $base,
        process => Test::Idpay::Process->start(
            output  => "$dir/$base.err",
            command => [
                qw(curl -q -sS -g --http2-prior-knowledge --noproxy *
                    --max-time 30),
                '-o', "$dir/$base.body", '-D', "$dir/$base.head", @options,
                'http://127.0.0.1:' . $t->port($port) . $uri,
            ],
        ),
    };
}


sub finish {
    my $curl = shift;

    wait_until(40, sub { !$curl->{process}->alive });
    my $head = $t->read("$curl->{base}.head");

    return {
        exit    => $curl->{process}->status >> 8,
        status  => $head =~ m{^HTTP/2 (\d+) *\r$}m ? "$1" : 0,
        headers => [ grep { length && !/^(?:date:|HTTP)/ }
                split /\r\n/, $head ],

        # with -I the head is there too
        body => $t->read("$curl->{base}.body") =~ s/^date: .*\n//mr,
    };
}


sub both {
    my ($name, $uri, $rule, @options) = @_;

    $sim->behave->clear;
    $sim->misbehave(%$rule, times => 2) if $rule;

    my ($ours, $theirs) = map { finish(start($_, $uri, @options)) } 8080, 8081;
    is_deeply $ours, $theirs, "$name: as with proxy_pass"
        or diag "$ours->{status} $theirs->{status}";

    my @sent = map { sent($_) } @{ $sim->requests };
    is_deeply $sent[0], $sent[1], "$name: the same request";

    return $ours;
}


subtest 'calls' => sub {
    for my $method (qw(GET OPTIONS PUT DELETE PATCH)) {
        is both($method, '/a?b=c', undef, '-X', $method)->{status}, 200,
            $method;
    }
    is_deeply [ $sim->header($sim->requests->[0], 'X-Key') ], [$key],
        'the credential';

    my $r = both('HEAD', '/__bytes/100', undef, '-I');
    ok grep({ $_ eq 'content-length: 100' } @{ $r->{headers} }), 'HEAD';
    is both('304', '/__bytes/9', undef, '-H', 'If-None-Match: "bytes-9"')
        ->{status}, 304, 'If-None-Match';
    is both('206', '/__bytes/90000', undef, '-r', '70000-70009')->{body},
        filler(70_000, 10), 'Range';

    is both('204', '/', { status => 204 })->{status}, 204, 'no content';
    is both('404', '/', { status => 404, body => 'x' })->{body}, 'x',
        'an error';
    both('empty', '/', { body => '' });
    both('chunked', '/', { chunked => 1, body => 'x' x 100_000 });
    both('close', '/', { raw => "HTTP/1.0 200 OK\r\n\r\nabc" });
};


subtest 'bodies' => sub {
    for my $size (0, 1, 20_000, 3_000_000) {
        my $file = $t->write("body$size", filler(0, $size));
        both("$size bytes", '/', undef, '--data-binary', "\@$file");
        is $sim->last_request->{body_sha256}, sha256_hex(filler(0, $size)),
            "$size bytes: all of them" if $size;
        both("$size bytes, no length", '/', undef, '-T', $file,
            '-H', 'Content-Length:');
    }
};


subtest 'downloads' => sub {
    my $r = both('big', '/__bytes/20000000');
    ok $r->{body} eq filler(0, 20_000_000), 'all of it';
};


# Streams of one connection, spoken by hand: curl opens one for each call.
sub streams {
    my @uris = @_;

    my $frame = sub {
        my ($type, $flags, $stream, $bytes) = @_;
        return substr(pack('N', length $bytes), 1)
            . pack('CCN', $type, $flags, $stream) . $bytes;
    };
    my $bytes  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . $frame->(4, 0, 0, '');
    my $stream = -1;
    for my $uri (@uris) {
        my %header = (':method' => 'GET', ':scheme' => 'http',
            ':authority' => 'a', ':path' => $uri);
        $bytes .= $frame->(1, 5, $stream += 2,
            join '', map { pack 'C C/a C/a', 0, $_, $header{$_} }
                sort keys %header);
    }

    my $socket = connect_to($t->port(8080));
    send_bytes($socket, $bytes);
    $socket->blocking(1);
    return $socket;
}


# The body of each stream that ended as it should.
sub stream_bodies {
    my ($socket, $count) = @_;

    local $SIG{ALRM} = sub { die "no answer in time\n" };
    alarm 30;

    my (%body, %ended);
    while (keys %ended < $count && read $socket, my $head, 9) {
        my ($high, $low, $type, $flags, $stream) = unpack 'C n C C N', $head;
        my $length = $high << 16 | $low;
        my $bytes  = '';
        read $socket, $bytes, $length if $length;

        $body{$stream} .= $bytes if $type == 0;
        $ended{$stream} = 1      if $type <= 1 && $flags & 1 || $type == 3;
        delete $body{$stream}    if $type == 3;
    }
    alarm 0;
    return map { $body{$_} } sort { $a <=> $b } keys %body;
}


subtest 'streams' => sub {
    $sim->behave->clear;
    my @bodies = stream_bodies(
        streams(map { '/__bytes/' . (1000 + $_) } 1 .. 30), 30);
    is_deeply \@bodies, [ map { filler(0, 1000 + $_) } 1 .. 30 ],
        'thirty at once, each has its own';

    my $kept = $sim->open_connections;
    $sim->misbehave(delay_ms => 60_000, times => -1);
    my $socket = streams(map {"/many$_"} 1 .. 30);
    is scalar @{ $sim->wait_requests(60) }, 60, 'thirty that wait';
    close $socket;
    ok wait_until(20, sub { $sim->open_connections <= $kept }),
        'the provider sees the end of all';
    $t->expect_access_log(qr{"GET /many$_ HTTP/2.0" 499 }) for 1, 30;
};


subtest 'failures' => sub {
    for my $frame ({}, { chunked => 1 }, { body => 'x' x 300_000 }) {
        $sim->behave->misbehave(status => 410, body => 'theirs', %$frame,
            times => 2, headers => [ [ 'X-Theirs', 'th' ] ]);
        my $r = finish(start(8080, '/problem/'));
        is $r->{status}, 404, 'an error: the problem';
        is_deeply [ sort map { /^([^:]+)/ } @{ $r->{headers} } ],
            [qw(content-length content-type server)],
            'with nothing of theirs';
        like $r->{body}, qr/^\{.*"code":"not_found".*\}\r\n\z/,
            'whole';
        like $r->{body}, qr/"provider_status":410/, 'of that answer';

        $r = finish(start(8080, '/problem/', '-I'));
        is_deeply [ @$r{qw(exit status)} ], [ 0, 404 ], 'HEAD';
        like $r->{body}, qr{\r\ncontent-type: application/problem\+json\r\n},
            'has its type';
        unlike $r->{body}, qr/theirs|urn:/, 'and no body';
    }

    for my $rule ({ reset => 'before_header' }, { close => 'no_answer' }) {
        $sim->behave->misbehave(%$rule, times => -1);
        my $r = finish(start(8080, '/'));
        is $r->{status}, 502, 'a problem';
        like $r->{body}, qr/"code":"provider_error"/, 'in its form';
    }

    for my $frame ({}, { chunked => 1 }) {
        $sim->behave->misbehave(truncate => 'mid_body', body_size => 100_000,
            %$frame, times => 2);
        my ($ours, $theirs)
            = map { finish(start($_, '/half')) } 8080, 8081;
        isnt $theirs->{exit}, 0, 'not whole, with proxy_pass';
        is $ours->{exit}, $theirs->{exit}, 'the same for us';
    }
};


subtest 'aborts' => sub {
    my $kept = $sim->open_connections;
    my $gone = sub {
        ok wait_until(20, sub { $sim->open_connections <= $kept }),
            "$_[0]: the provider sees the end";
    };
    my $logged = sub {
        my ($uri, $status) = @_;
        $t->expect_access_log(qr{"\w+ \Q$uri\E HTTP/2.0" $status });
    };

    $sim->behave->clear->misbehave(delay_ms => 60_000, times => -1);
    my $curl = start(8080, '/waits', '-d', 'abc');
    is scalar @{ $sim->wait_requests(1) }, 1, 'the provider has it';
    ok $curl->{process}->stop(KILL => 5), 'the caller is gone';
    $gone->('waiting');
    $logged->('/waits', 499);

    $sim->behave->clear->misbehave(endless => 1);
    $curl = start(8080, '/endless');
    ok wait_until(20, sub { length $t->read("$curl->{base}.body") > 100_000 }),
        'the body comes';
    ok $curl->{process}->stop(KILL => 5), 'the caller is gone';
    $gone->('endless');
    $logged->('/endless', 200);

    # a stream ends, the connection stays: curl's own limit resets it
    $sim->behave->clear->misbehave(delay_ms => 60_000, match => '^/reset');
    $curl = start(8080, '/reset', '--max-time', 1);
    is finish($curl)->{exit}, 28, 'the caller had enough';
    $gone->('a stream');
    $logged->('/reset', 499);
    $sim->behave;
};

done_testing;
