# Calls that wait for their turn: their order, their time, and what becomes of
# the place of a caller that hangs up.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Idpay::Filler qw(filler);
use List::Util qw(uniq);
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::Idpay;
use Test::Idpay::Client qw(connect_to send_bytes);
use Test::Idpay::Load qw(park under_way);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', tls => 0);

# A provider for each, all of them the same simulator.
my %rates = (
    fast   => '40r/s wait=30s',
    steady => '10r/s wait=30s',
    order  => '10r/s wait=30s',
    left   => '2r/s wait=30s',
    reset  => '2r/s wait=30s',
    stream => '2r/s wait=30s',
    places => '3r/m wait=50s',
    prefer => '12r/m wait=1m',
    half   => '2r/s',
);


sub serve {
    my $workers = shift;

    my $upstreams = join "\n", map { <<"CONF" } sort keys %rates;
    upstream $_ {
        server          %%SIM_generic%%;
        keepalive       64;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_rate      $rates{$_};
        idpay_adaptive  off;
        idpay_retry     off;
        idpay_breaker   off;
    }
CONF
    my $locations = join '',
        map {"location /$_/ { idpay_pass $_; }\n"} sort keys %rates;

    $t->config(<<"CONF", workers => $workers);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format waits '\$pid \$request_uri \$status \$idpay_wait'
                     ' \$request_time \$idpay_attempts';
    access_log %%TESTDIR%%/waits.log waits;
    client_body_buffer_size 16k;

$upstreams
    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        listen 127.0.0.1:%%PORT_8081%% http2;
        $locations
        location /short/ { idpay_timeout 500ms; idpay_pass prefer; }
        location = /calls { access_log off; stub_status; }
    }
}
CONF
    $t->run;
    return;
}


# [status, wait, request time, attempts] of a call in the access log.
sub logged {
    my $uri = shift;

    my @logged;
    wait_until(20, sub {
        @logged = $t->read('waits.log')
            =~ /^\d+ \Q$uri\E (\d+) (\S+) (\S+) (\d+)$/m;
    });
    return @logged;
}


sub statuses {
    return [ map { $t->read_response($_)->status } @_ ];
}


sub targets { return map { $_->{target} } @{ $sim->requests } }


# From the first call at the simulator to the last.
sub seconds {
    my @times = map { $_->{time} } @{ $sim->requests };
    return $times[-1] - $times[0];
}


serve(1);


$t->measured('in the order in which they came' => sub {
    $sim->clear;
    my @calls = park($t, 12, uri => sub { '/order/' . shift });
    is_deeply statuses(@calls), [ (200) x 12 ], 'all are answered';
    is_deeply [ targets() ], [ map {"/order/$_"} 0 .. 11 ], 'in their order';
});


$t->measured('$idpay_wait' => sub {
    $t->write('waits.log', '');
    my @calls = park($t, 6, uri => sub { '/steady/' . shift });
    statuses(@calls);

    my ($status, $wait) = logged('/steady/0');
    is_deeply [ $status, $wait ], [ 200, '0.000' ], 'who did not wait';

    for my $n (1 .. 5) {
        my ($status, $wait, $time, $attempts) = logged("/steady/$n");
        like $wait, qr/^\d+\.\d{3}$/, "call $n: in seconds";
        cmp_ok $wait, '>=', $n / 10 - 0.05, 'as long as the rate says';
        cmp_ok $wait, '<=', $time + 0.002, 'and not longer than the call took';
        is $attempts, 1, 'and then it was made';
    }
});


for my $how (qw(left reset)) {
    $t->measured("callers that hang up: $how" => sub {
        $sim->clear;
        $t->write('waits.log', '');
        my @calls = park($t, 12, uri => sub { "/$how/" . shift });
        ok under_way($t, 11), 'they wait' or return;

        # nginx's clock of milliseconds has to move on
        select undef, undef, undef, 0.01;

        # all but the first, which went, and the last two
        for my $socket (splice @calls, 1, 9) {
            setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0
                if $how eq 'reset';
            close $socket;
        }
        is_deeply statuses(@calls), [ 200, 200, 200 ], 'the others go on';
        is_deeply [ targets() ], [ map {"/$how/$_"} 0, 10, 11 ],
            'in their order';
        cmp_ok seconds(), '<', 3, 'they have moved up';
        cmp_ok seconds(), '>', 0.97, 'to the places that were free';

        my ($status, $wait, $time, $attempts) = logged("/$how/5");
        is_deeply [ $status, $attempts ], [ 499, 0 ], 'the call was not made';
        cmp_ok $wait, '>', 0, 'it had waited';
    });
}


# Three have places: at once, in 20 s, in 40 s.
subtest 'places' => sub {
    my $get  = sub { $t->get('/places/', no_read => 1) };
    my $full = sub {
        my $r = $t->get('/places/');
        is $r->status, 429, "$_[0]: there is no place";
        is $r->json->{fault}, 'gateway', "$_[0]: of the gateway's";
    };
    is $t->get('/places/')->status, 200, 'the first goes';
    my ($second, $third) = ($get->(), $get->());
    ok under_way($t, 2), 'two wait';
    $full->('three');

    close $third;
    ok under_way($t, 1), 'the last one hangs up';
    my $fourth = $get->();
    ok under_way($t, 2), 'its place is for a newcomer';
    $full->('three again');

    close $second;
    ok under_way($t, 1), 'one hangs up before another';
    my $fifth = $get->();
    ok under_way($t, 2), 'who moves up: there is one place';
    $full->('and no more');

    close $_ for $fourth, $fifth;
    ok under_way($t, 0), 'all hang up';
    my @three = map { $get->() } 1 .. 2;
    ok under_way($t, 2), 'all the places are there';
    $full->('and not one more');
    close $_ for @three;
    ok under_way($t, 0), 'the end';
};


$t->measured('Prefer: wait' => sub {
    my $get = sub {
        my ($uri, $prefer) = @_;
        my $start = time;
        my $r = $t->get($uri, headers => [ [ Prefer => $prefer ] ]);
        cmp_ok time - $start, '<', 0.9, "$uri $prefer: answered at once";
        return $r;
    };
    my $start = time;
    is $get->('/prefer/', 'wait=1')->status, 200, 'the first';

    my $r = $get->('/prefer/', 'respond-async, wait=1');
    is $r->status, 429, 'who has no time for its turn';
    is $r->json->{fault}, 'gateway', 'is told so';
    my $after = $r->header('Retry-After');
    ok $after <= 6 && $after >= 5 - (time - $start), 'and when it would be'
        or diag $after;

    $r = $get->('/short/', 'wait=100');
    is $r->status, 429, 'it makes no time longer';

    my $call = $t->get('/prefer/', no_read => 1,
        headers => [ [ Prefer => 'wait=20' ] ]);
    ok under_way($t, 1), 'who has time waits';
    close $call;
    ok under_way($t, 0), 'the end';

    # half a second is less than one
    my @calls = park($t, 2, uri => '/half/',
        headers => [ [ Prefer => 'wait=1' ] ]);
    is_deeply statuses(@calls), [ 200, 200 ], 'or when it is its turn in time';
});


$t->measured('kept connections' => sub {
    $sim->clear;
    my $r = $t->get('/fast/a');
    $r = $t->get('/fast/b', socket => $r->socket);
    is $r->status, 200, 'a call that waits on one that was used';

    send_bytes($r->socket, join '', map {
        "GET /steady/$_ HTTP/1.1\r\nHost: a\r\n\r\n"
    } 1 .. 3);
    is_deeply statuses(($r->socket) x 3), [ (200) x 3 ], 'pipelined ones';
    is_deeply [ targets() ],
        [ '/fast/a', '/fast/b', map {"/steady/$_"} 1 .. 3 ], 'each once';

    # what came behind does not hide that the caller has gone
    $r = $t->get('/prefer/x', no_read => 1);
    send_bytes($r, "GET /fast/never HTTP/1.1\r\nHost: a\r\n\r\n");
    ok under_way($t, 1), 'one that waits, another one behind it';
    close $r;
    ok under_way($t, 0), 'both are gone';
    is scalar grep({/never/} targets()), 0, 'and were not made';
});


$t->measured('a body on disk' => sub {
    $sim->clear;
    $t->write('waits.log', '');
    my @body  = map { filler($_ * 1000, 300_000) } 0 .. 2;
    my @calls = map {
        $t->post("/steady/body$_", $body[$_], no_read => 1, chunked => $_ == 2)
    } 0 .. 2;
    is_deeply statuses(@calls), [ (200) x 3 ], 'answered';
    is_deeply [ sort map {"$_->{target} $_->{body_sha256}"}
            @{ $sim->requests } ],
        [ map { "/steady/body$_ " . sha256_hex($body[$_]) } 0 .. 2 ],
        'each came whole';
    cmp_ok +(logged('/steady/body2'))[1], '>', 0, 'after a while';
});


# Streams of one connection, spoken by hand.
sub frame {
    my ($type, $flags, $stream, $bytes) = @_;
    return substr(pack('N', length $bytes), 1)
        . pack('CCN', $type, $flags, $stream) . $bytes;
}


sub streams {
    my @uris = @_;

    my $bytes  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(4, 0, 0, '');
    my $stream = -1;
    for my $uri (@uris) {
        my %header = (':method' => 'GET', ':scheme' => 'http',
            ':authority' => 'a', ':path' => $uri);
        $bytes .= frame(1, 5, $stream += 2,
            join '', map { pack 'C C/a C/a', 0, $_, $header{$_} }
                sort keys %header);
    }
    my $socket = connect_to($t->port(8081));
    send_bytes($socket, $bytes);
    return $socket;
}


$t->measured('streams of HTTP/2' => sub {
    $sim->clear;
    $t->write('waits.log', '');
    my $socket = streams(map {"/stream/$_"} 0 .. 9);
    ok under_way($t, 9), 'ten, of which nine wait' or return;

    # RST_STREAM of 1 to 7: streams 3 to 15
    send_bytes($socket,
        join '', map { frame(3, 0, 1 + 2 * $_, pack 'N', 8) } 1 .. 7);
    is scalar @{ $sim->wait_requests(3) }, 3, 'the others go on';
    is_deeply [ targets() ], [ map {"/stream/$_"} 0, 8, 9 ], 'in their order';
    cmp_ok seconds(), '<', 3, 'they have moved up';
    is +(logged("/stream/$_"))[0], 200, "stream $_ is answered" for 0, 8, 9;
    is +(logged("/stream/$_"))[0], 499, "stream $_ was cancelled" for 1, 7;
    ok under_way($t, 0), 'none is left';
    close $socket;

    $socket = streams(map {"/prefer/s$_"} 1 .. 10);
    ok under_way($t, 10), 'ten more';
    close $socket;
    ok under_way($t, 0), 'the connection ends, and all of them';
});


$t->measured('two workers' => sub {
    $t->quit;
    $t->write('waits.log', '');
    $sim->clear;
    serve(2);

    my @first = park($t, 20, uri => sub { '/fast/first' . shift });
    ok wait_until(20, sub {
        my $ended = () = $t->read('waits.log') =~ /first/g;
        my ($calls) = $t->get('/calls')->body =~ /Writing: (\d+)/;
        $ended + $calls - 1 >= 20;
    }), 'twenty calls';
    my @then = park($t, 20, uri => sub { '/fast/then' . shift });
    is_deeply [ uniq @{ statuses(@first, @then) } ], [200], 'all are answered';

    my @pids = uniq map {/^(\d+)/} split /\n/, $t->read('waits.log');
    is scalar @pids, 2, 'by two workers';

    my @order = map { /first/ ? 1 : 0 } targets();
    my ($last) = grep { $order[$_] } reverse 0 .. $#order;
    cmp_ok $last, '<=', 21, 'those that came first go first';
});

done_testing;
