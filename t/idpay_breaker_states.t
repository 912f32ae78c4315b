#!/usr/bin/env perl

# A provider that fails again and again is left alone for a while, and then
# asked by one call at a time.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(sleep time);

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate', tls => 0);
$t->secret('key');
$t->port('closed');

# A breaker of its own for each part; each name is a location.
my %breaker = (
    opens   => 'failures=3 open=20s',
    row     => 'failures=3 open=20s',
    final   => 'failures=2 open=20s',
    window  => 'failures=3 window=700ms open=20s',
    probe   => 'failures=2 open=2s',
    again   => 'failures=2 open=2s',
    leaves  => 'failures=2 open=300ms',
    killed  => 'failures=2 open=300ms',
    reload  => 'failures=2 open=20s',
    refused => 'failures=2 open=20s',
    late    => 'failures=2 open=20s',
    reset   => 'failures=2 open=20s',
    none    => 'failures=2 open=20s',
    garbage => 'failures=2 open=20s',
    old     => 'failures=2 open=300ms',
    many    => 'failures=5 open=2s',
    retried => 'failures=2 open=20s',
    off     => 'off',
    usual   => '',
);
my %more = (
    retried => 'idpay_retry tries=4 base=1ms budget=100%;',
    killed  => 'idpay_retry off; idpay_timeout 1500ms;',
    late    => 'idpay_retry off; idpay_timeout 200ms;',
);

my $upstreams = join '', map { <<"CONF" } sort keys %breaker;
    upstream $_ {
        server          @{[ $_ eq 'refused' ? '127.0.0.1:%%PORT_closed%%'
            : '%%SIM_gate%%' ]};
        keepalive       8;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_adaptive  off;
        @{[ $breaker{$_} && "idpay_breaker $breaker{$_};" ]}
        @{[ $more{$_} // 'idpay_retry off;' ]}
    }
CONF
my $locations = join '', map {"        location /$_ { idpay_pass $_; }\n"}
    sort keys %breaker;

# Connections are spread over both workers.
$t->config(<<"CONF", workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format pid '\$pid \$request_uri \$status';
    access_log %%TESTDIR%%/pid.log pid;

$upstreams

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
$locations
    }
}
CONF
$t->run;


sub made { return scalar @{ $sim->requests } }


# As many calls that fail.
sub fail_calls {
    my ($name, $n) = @_;

    $sim->behave->clear->misbehave(status => 503, times => -1);
    my @r = map { $t->get("/$name") } 1 .. $n;
    $sim->behave;
    return @r;
}


# What a caller is told of an answer of the provider's.
sub told {
    my $r = shift;

    my $told = $r->json // {};
    return [ $r->status, @$told{qw(code attempts provider_status)} ];
}


sub is_open {
    my ($r, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply [ $r->status, @{ $r->json }{qw(code outcome attempts)} ],
        [ 503, 'provider_unavailable', 'not_applied', 0 ], $name
        or diag $r->raw;
    return;
}


# Seconds of so many that began since then.
sub is_left {
    my ($left, $seconds, $since, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok $left >= $seconds - 1 - (time - $since) && $left <= $seconds, $name
        or diag $left;
    return;
}


# Makes calls until the provider has one; all of them.
sub probes {
    my ($uri, $made) = @_;

    my @sockets;
    ok wait_until(20, sub {
        push @sockets, park($t, 1, uri => $uri);
        sleep 0.05;
        made() >= $made;
    }), 'a probe hangs';
    return @sockets;
}


# The first call that is let through again.
sub wait_closed {
    my $name = shift;

    my $r;
    wait_until(20, sub { ($r = $t->get("/$name"))->status == 200 });
    return $r;
}


subtest 'it opens' => sub {
    my $since = time;
    my @r     = fail_calls(opens => 3);
    is_deeply [ map { told($_) } @r ],
        [ ([ 503, 'provider_unavailable', 1, 503 ]) x 3 ],
        'three failures are told';
    is made(), 3, 'three calls';

    my $began = time;
    my $r     = $t->get('/opens');
    is_open($r, 'then there is a problem');
    ok time - $began < 15, 'at once';
    is $r->json->{retryable}, 1, 'which is worth another call';

    my $left = $r->header('Retry-After');
    is_left($left, 20, $since, 'after what is left of the time');
    is $r->json->{retry_after}, $left, 'in the document too';

    is_open($t->http($_, '/opens', body => 'x'), $_)
        for qw(POST PUT DELETE PATCH);
    is_open($_, 'in each worker')
        for map { $t->read_response($_) } park($t, 20, uri => '/opens');
    is made(), 3, 'the provider sees nothing of that';

    ok wait_until(20, sub {
        $t->get('/opens')->header('Retry-After') < $left;
    }), 'the time runs';
};


subtest 'a success in between' => sub {
    for (1 .. 3) {
        fail_calls(row => 2);
        is $t->get('/row')->status, 200, 'two failures and a success';
    }
    fail_calls(row => 2);
    $sim->misbehave(status => 404);
    is $t->get('/row')->status, 404, 'any answer of its own will do';
    fail_calls(row => 2);
    is $t->get('/row')->status, 200, 'still closed';
    fail_calls(row => 3);
    is_open($t->get('/row'), 'three in a row');
};


subtest 'what is no failure' => sub {
    my %told = (
        400 => [ 400, 'invalid_request' ],
        401 => [ 502, 'credential_rejected' ],
        403 => [ 403, 'permission_denied' ],
        404 => [ 404, 'not_found' ],
        408 => [ 400, 'invalid_request' ],
        409 => [ 409, 'conflict' ],
        422 => [ 422, 'validation_failed' ],
        429 => [ 429, 'rate_limited' ],
        501 => [ 502, 'provider_error' ],
        505 => [ 502, 'provider_error' ],
    );
    for my $status (sort keys %told) {
        $sim->behave->misbehave(status => $status, times => 5);
        is_deeply [ map { told($t->get('/final')) } 1 .. 5 ],
            [ ([ @{ $told{$status} }, 1, $status ]) x 5 ],
            "$status is told each time";
    }
    $sim->behave;
    is $t->get('/final')->status, 200, 'closed';
};


$t->measured('the window' => sub {
    fail_calls(window => 2);
    sleep 1;
    fail_calls(window => 1);
    is $t->get('/window')->status, 200, 'two failures were long ago';
    fail_calls(window => 2);
    sleep 1;
    fail_calls(window => 2);
    is made(), 2, 'neither of these opens it';
    fail_calls(window => 1);
    is_open($t->get('/window'), 'three within it do');
});


$t->measured('one probe at a time' => sub {
    fail_calls(probe => 2);
    is_open($t->get('/probe'), 'open');

    # succeeds at the end
    $sim->clear->misbehave(hold => 1);
    my @probes = probes('/probe?first', 1);
    is made(), 1, 'one call is let through';

    my @r = map { $t->read_response($_) } park($t, 40, uri => '/probe');
    is_open($_, 'others are not') for @r;
    is_deeply [ map { $_->header('Retry-After') } @r ], [ (1) x 40 ],
        'but soon may be';
    is made(), 1, 'still one';

    my %pids = map { /^(\d+) \/probe 503/ ? ($1 => 1) : () }
        split /\n/, $t->read('pid.log');
    is scalar keys %pids, 2, 'both workers were asked';

    $sim->release;
    is scalar(grep { $t->read_response($_)->status == 200 } @probes), 1,
        'it succeeds';
    @r = map { $t->read_response($_) } park($t, 20, uri => '/probe');
    is_deeply [ map { $_->status } @r ], [ (200) x 20 ], 'and closes it';

    fail_calls(probe => 1);
    is $t->get('/probe')->status, 200, 'as if nothing had been';
});


$t->measured('a probe that fails' => sub {
    fail_calls(again => 2);
    $sim->misbehave(status => 500, times => -1);

    for my $probe (3 .. 4) {
        wait_until(20, sub { $t->get('/again'); made() == $probe });
        is_open($t->get('/again'), 'a probe which fails: open') for 1 .. 5;
        is made(), $probe, 'for the whole time again';
    }
    my @times = map { $_->{time} } @{ $sim->requests };
    cmp_ok $times[$_] - $times[ $_ - 1 ], '>=', 1.98, 'not before its end'
        for 2, 3;
    $sim->behave;
    is wait_closed('again')->status, 200, 'until one succeeds';
});


subtest 'a probe whose caller leaves' => sub {
    fail_calls(leaves => 2);
    $sim->clear->misbehave(delay_ms => 60_000);
    close $_ for probes('/leaves', 1);

    my $began = time;
    is wait_closed('leaves')->status, 200, 'the next one takes its place';
    ok time - $began < 15, 'soon';
};


subtest 'a probe whose worker dies' => sub {
    $t->allow_log(qr/exited on signal 9/);
    fail_calls(killed => 2);
    $sim->clear->misbehave(delay_ms => 60_000);
    my @probes = probes('/killed', 1);

    my @old = $t->worker_pids;
    kill KILL => @old;
    ok wait_until(20, sub {
        my @now = $t->worker_pids;
        @now == 2 && !grep { my $pid = $_; grep { $_ == $pid } @old } @now;
    }), 'new workers';
    is wait_closed('killed')->status, 200, 'its time is over with the call';
};


subtest 'over a reload' => sub {
    fail_calls(reload => 2);
    $t->reload;
    is_open($t->get('/reload'), 'still open');
    is made(), 2, 'for the new workers too';
};


subtest 'no connection' => sub {
    for (1, 2) {
        my $r = $t->get('/refused');
        is $r->json->{attempts}, 1, 'tried';
    }
    is_open($t->get('/refused'), 'and left');
};


subtest 'no answer' => sub {
    my %rule = (
        late    => [ delay_ms => 60_000 ],
        reset   => [ reset    => 'before_header' ],
        none    => [ close    => 'no_answer' ],
        garbage => [ raw      => "SSH-2.0-x\r\n\r\n" ],
    );
    for my $name (sort keys %rule) {
        for my $method (qw(GET POST)) {
            $sim->behave->misbehave(times => -1, @{ $rule{$name} });
            is $t->http($method, "/$name", body => 'x')->json->{attempts}, 1,
                "$name: $method";
        }
        $sim->behave;
        is_open($t->get("/$name"), "$name: open");
    }
};


# What began before it opened tells of another time.
$t->measured('late news' => sub {
    $sim->behave->clear->misbehave(hold => 1, match => 'slow');
    my ($slow) = park($t, 1, uri => '/old?slow');
    is scalar @{ $sim->wait_requests(1) }, 1, 'a call that is slow';

    $sim->misbehave(status => 503, times => 2, match => '^/old$');
    $t->get('/old') for 1, 2;
    $sim->misbehave(delay_ms => 60_000, match => 'probe');
    my @probes = probes('/old?probe', 4);
    is_open($t->get('/old'), 'others are not let through');
    $sim->release;
    is $t->read_response($slow)->status, 200, 'a success from before';
    is_open($t->get('/old'), 'does not close it');
    close $_ for @probes;

    # nor does a failure from before make it longer
    $sim->behave->clear->misbehave(status => 503, hold => 1, times => 50,
        match => 'slow');
    $sim->misbehave(status => 503, times => 5, match => '^/many$');
    my @slow = park($t, 50, uri => '/many?slow');
    is scalar @{ $sim->wait_requests(50) }, 50, 'fifty that are slow';
    $t->get('/many') for 1 .. 5;
    my $began = time;
    is_open($t->get('/many'), 'open');
    sleep $began + 1.5 - time if time < $began + 1.5;
    $sim->release;
    is_deeply [ map { told($t->read_response($_)) } @slow ],
        [ ([ 503, 'provider_unavailable', 1, 503 ]) x 50 ],
        'fifty failures from before';
    $sim->behave;
    is wait_closed('many')->status, 200, 'a probe';
    ok time - $began < 3, 'in time' or diag time - $began;
});


subtest 'with retries' => sub {
    $sim->behave->clear->misbehave(status => 503, times => -1);
    my $since = time;
    my $r     = $t->get('/retried');
    is made(), 2, 'the attempt that opens it is the last';
    is_deeply told($r), [ 503, 'provider_unavailable', 2, 503 ],
        'its answer is told';
    is_left($r->header('Retry-After'), 20, $since,
        'with the time that is left');
    is_open($t->get('/retried'), 'then it is open');
};


subtest 'off' => sub {
    fail_calls(off => 20);
    is made(), 20, 'all calls are made';
};


subtest 'by default' => sub {
    my $since = time;
    fail_calls(usual => 5);
    my $r = $t->get('/usual');
    is_open($r, 'after five failures');
    is_left($r->header('Retry-After'), 30, $since, 'for half a minute');
};

done_testing;
