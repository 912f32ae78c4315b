#!/usr/bin/env perl

# What the variables of the module say of a call, whatever becomes of it.

use strict;
use warnings;

use Socket qw(AF_INET INADDR_LOOPBACK SOCK_STREAM pack_sockaddr_in
    unpack_sockaddr_in);
use Test::Idpay;
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate', tls => 0);
my %sim = map { $_ => $t->sim($_) } qw(plusid passportreader plasmapay plaid);
$t->port('closed');

# Takes no connection, having no room.
socket my $full, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
bind $full, pack_sockaddr_in(0, INADDR_LOOPBACK) or die "bind: $!";
listen $full, 0 or die "listen: $!";
my @room = map {
    my $socket = IO::Socket::IP->new(Proto => 'tcp', Blocking => 0,
        Family => AF_INET) or die "socket: $!";
    connect $socket, getsockname $full;
    $socket;
} 1 .. 4;

my $retry = 'idpay_retry tries=3 base=100ms factor=1 jitter=none';
my $off   = 'idpay_retry off; idpay_breaker off';
my %limits = (
    again   => "$retry budget=100%; idpay_breaker off",
    patient => 'idpay_retry tries=3 base=30s jitter=none; idpay_breaker off',
    few     => "$off; idpay_rate 1r/m wait=10ms",
    even    => "$off; idpay_rate 4r/s wait=10s",
    line    => "$off; idpay_rate 2r/m wait=40s",
    broken  => 'idpay_retry off; idpay_breaker failures=1 open=50s',
    gone    => $off,
    full    => $off,
    held    => "$off; idpay_error_fields status=/code result=/id",
);
my %server = (
    gone => '127.0.0.1:%%PORT_closed%%',
    full => '127.0.0.1:' . (unpack_sockaddr_in(getsockname $full))[0],
);

my $upstreams = join '', map { <<"CONF" } sort keys %limits;
    upstream $_ {
        server          @{[ $server{$_} // '%%SIM_gate%%' ]};
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_adaptive  off;
        $limits{$_};
    }
CONF
my $locations = join '', map {"        location /$_/ { idpay_pass $_; }\n"}
    sort keys %limits;

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format idpay '\$request_uri|\$status|\$idpay_provider|'
        '\$idpay_attempts|\$idpay_wait|\$idpay_code|\$idpay_outcome|'
        '\$idpay_provider_status|\$idpay_credential';
    access_log %%TESTDIR%%/idpay.log idpay;
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_gate%%
    %%UPSTREAM_plusid%%
    %%UPSTREAM_passportreader%%
    %%UPSTREAM_plasmapay%%
    %%UPSTREAM_plaid%%
$upstreams

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /gate/           { idpay_pass gate; }
        location /plusid/         { idpay_pass plusid/; }
        location /passportreader/ { idpay_pass passportreader/; }
        location /plasmapay/      { idpay_pass plasmapay/; }
        location /plaid/          { idpay_pass plaid/; }
        location /time/           { idpay_pass gate; idpay_timeout 300ms; }
        location /second/         { idpay_pass again; idpay_timeout 500ms; }
        location /header/ {
            add_header X-Told "\$idpay_provider \$idpay_attempts \$idpay_code"
                always;
            add_header X-More "\$idpay_outcome \$idpay_provider_status" always;
            idpay_pass again;
        }
        location /passed/ { idpay_errors off; idpay_pass gate; }
        location /passed_again/ { idpay_errors off; idpay_pass again; }
        location /denied/ { deny all; idpay_pass gate; }
        location /held_short/ { idpay_pass held; idpay_timeout 300ms; }
        location /nginx/  { return 200 "no provider"; }
$locations
    }
}
CONF
$t->run;

my $n = 0;

# A 2xx that could be an error by its body, and never ends.
my $half = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    . "Content-Length: 99\r\n\r\n{\"id\":\"paid\"";


# The values in the log of the call with that URI, as name => value; of the
# wait only whether there was one.
sub told {
    my $uri = shift;

    my @told;
    wait_until(20, sub {
        @told = $t->read('idpay.log') =~ /^\Q$uri\E\|(.*)/m;
    }) or return { $uri => 'is not in the log' };

    my %told;
    @told{qw(status provider attempts wait code outcome provider_status
        credential)} = split /\|/, $told[0];
    $told{wait} = $told{wait} > 0 ? 1 : 0 if $told{wait} =~ /^\d+\.\d{3}$/;
    return \%told;
}


my %usual = (
    attempts   => 1,
    wait       => 0,
    code       => '-',
    outcome    => 'passed',
    credential => 'key/primary/1',
);


sub is_told {
    my ($uri, $name, %what) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $told = told($uri);
    is_deeply $told, { %usual, provider => $uri =~ m{^/(\w+)}, %what }, $name
        or diag explain $told;
    return;
}


# Makes the call and looks at what is said of it.
sub call {
    my ($name, $method, $place, %what) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $uri = "/$place?n=" . $n++;
    $t->http($method, $uri, body => delete $what{body} // 'a=b',
        headers => [ [ 'Content-Type', 'application/json' ],
            @{ delete $what{headers} // [] } ]);
    is_told($uri, "$name: $method", %what);
    return;
}


subtest 'an answer' => sub {
    call('200', GET  => 'gate/', status => 200, provider_status => 200);
    call('200', POST => 'gate/', status => 200, provider_status => 200);

    my %told = (
        401 => [ 502, 'credential_rejected' ],
        404 => [ 404, 'not_found' ],
        410 => [ 404, 'not_found' ],
        429 => [ 429, 'rate_limited' ],
        500 => [ 502, 'provider_error' ],
    );
    for my $status (302, sort keys %told) {
        my ($ours, $code) = @{ $told{$status} // [ $status, '-' ] };

        for ([ GET => 'not_applied' ],
            [ POST => $status < 500 ? 'not_applied' : 'unknown' ])
        {
            my ($method, $outcome) = @$_;
            my %seen = (provider_status => $status,
                outcome => $status < 400 ? 'passed' : $outcome);

            $sim->behave->misbehave(status => $status, times => 2);
            call($status, $method => 'gate/', %seen,
                status => $ours, code => $code);
            call("$status passed", $method => 'passed/', %seen,
                status => $status, provider => 'gate');
        }
    }
    $sim->behave;
};


subtest 'each provider' => sub {
    my %call = (
        plusid         => [ GET  => '/v1/requests' ],
        plasmapay      => [ GET  => '/business/api/v1/public/ping' ],
        passportreader => [ POST => '/api/v1/session.create', body => '{}' ],
        plaid          => [
            POST => '/identity_verification/list',
            body => '{"template_id":"t","client_user_id":"u"}'
        ],
    );
    my %credential = (
        plusid         => 'api_key/primary/1',
        plasmapay      => 'api_key/primary/1',
        passportreader => 'secret/primary/1',
        plaid          => 'secret/primary/1',
    );
    for my $name (sort keys %call) {
        my ($method, $uri, @body) = @{ $call{$name} };
        call($name, $method, "$name$uri", status => 200,
            provider_status => 200, credential => $credential{$name}, @body);
    }
};


subtest 'made again' => sub {
    $t->get('/again/') for 1 .. 10;

    $sim->misbehave(status => 503, times => 2);
    call('then 200', GET => 'again/', status => 200, attempts => 3, wait => 1,
        provider_status => 200);

    $sim->misbehave(status => 503, times => 3);
    call('all failed', GET => 'again/', status => 503, attempts => 3,
        wait => 1, provider_status => 503, outcome => 'not_applied',
        code => 'provider_unavailable');

    $sim->misbehave(status => 429)->misbehave(status => 500);
    call('then 500', POST => 'again/', status => 502, attempts => 2,
        wait => 1, provider_status => 500, outcome => 'unknown',
        code => 'provider_error');

    $sim->misbehave(status => 429)->misbehave(status => 500);
    call('then 500, passed', POST => 'passed_again/', status => 500,
        attempts => 2, wait => 1, provider_status => 500,
        outcome => 'unknown', provider => 'again');

    $sim->misbehave(status => 503)->misbehave(close => 'no_answer', times => 2);
    call('then none', GET => 'again/', status => 502, attempts => 3,
        wait => 1, code => 'provider_error', outcome => 'not_applied',
        provider_status => 503);
};


subtest 'rate limits' => sub {
    my %limited = (status => 429, attempts => 0, code => 'rate_limited',
        outcome => 'not_applied', provider_status => '-', credential => '-');

    call('in the limit', GET => 'few/', status => 200, provider_status => 200);
    call('over it', $_ => 'few/', %limited) for qw(GET POST);

    call('in the limit', GET => 'even/', status => 200, provider_status => 200);
    call('after a wait', GET => 'even/', status => 200, wait => 1,
        provider_status => 200);
};


subtest 'a breaker' => sub {
    $sim->misbehave(status => 503);
    call('closed', GET => 'broken/', status => 503, provider_status => 503,
        code => 'provider_unavailable', outcome => 'not_applied');
    call('open', $_ => 'broken/', status => 503, attempts => 0,
        code => 'provider_unavailable', outcome => 'not_applied',
        provider_status => '-', credential => '-') for qw(GET POST);
};


subtest 'refused before it is sent' => sub {
    my %refused = (attempts => 0, code => 'request_rejected',
        outcome => 'not_applied', provider_status => '-', credential => '-');

    call('405', GET  => 'passportreader/api/v1/session.get', %refused,
        status => 405);
    call('403', POST => 'plaid/item/get', %refused, status => 403);
    call('400', POST => 'plaid/identity_verification/list', %refused,
        status => 400, body => '{"secret":"mine"}');
    is_deeply [ map { @{ $sim{$_}->requests } == 1 ? () : $_ }
            qw(passportreader plaid) ], [], 'nothing was sent';

    call('no time', GET => 'gate/', %refused, status => 504,
        code => 'provider_timeout', headers => [ [ 'Prefer', 'wait=0' ] ]);
};


$t->measured('no answer' => sub {
    my %late = (provider => 'gate', status => 504,
        code => 'provider_timeout', provider_status => '-');

    $sim->behave->misbehave(delay_ms => 60_000, times => 2);
    call('late', GET => 'time/', %late, outcome => 'not_applied');
    call('late', POST => 'time/', %late, outcome => 'unknown');

    $sim->behave->misbehave(status => 503)->misbehave(delay_ms => 60_000);
    call('the second late', GET => 'second/', %late, provider => 'again',
        attempts => 2, wait => 1, provider_status => 503,
        outcome => 'not_applied');

    $sim->behave->misbehave(reset => 'before_header', times => 2);
    my %none = (status => 502, code => 'provider_error',
        provider_status => '-');
    call('reset', GET  => 'gate/', %none, outcome => 'not_applied');
    call('reset', POST => 'gate/', %none, outcome => 'unknown');
    $sim->behave;

    call('no connection', $_ => 'gone/', status => 503,
        code => 'provider_unavailable', provider_status => '-',
        outcome => 'not_applied') for qw(GET POST);
});


# What it is, is known when its body has come.
$t->measured('a 2xx that is held back' => sub {
    my %held = (status => 200, provider_status => 200);
    my %of   = (
        '{"id":"i","code":500}' => [ %held ],
        '{"code":422}' => [ %held, status => 422, code => 'validation_failed',
            outcome => 'not_applied' ],
        '{"code":500}' => [ %held, status => 502, code => 'provider_error' ],
    );
    for ([ GET => 'not_applied' ], [ POST => 'unknown' ]) {
        my ($method, $outcome) = @$_;

        for my $body (sort keys %of) {
            my @json = (headers => [ [ 'Content-Type', 'application/json' ] ]);
            my %what = @{ $of{$body} };
            $what{outcome} //= $outcome if $what{code};

            $sim->behave->misbehave(body => $body, @json);
            call($body, $method => 'held/', %what);
            $sim->misbehave(body => $body, @json, truncate => 'mid_body');
            call("half of $body", $method => 'held/', %held, status => 502,
                code => 'provider_error', outcome => $outcome);
        }
        $sim->behave->misbehave(keep => 1, raw => $half);
        call('late', $method => 'held_short/', %held, provider => 'held',
            status => 504, code => 'provider_timeout', outcome => $outcome);
    }
});


# It is not told anything: the log is where it can be seen.
$t->measured('a caller that leaves' => sub {
    my %gone = (status => 499, provider_status => '-');

    # $until tells when it leaves
    my $leave = sub {
        my ($name, $method, $place, $until, %what) = @_;

        my $uri = "/$place?n=" . $n++;
        my ($socket) = park($t, 1, method => $method, uri => $uri,
            $method eq 'GET' ? () : (body => 'a=b'));
        ok wait_until(20, $until), "$name, $method: it leaves";
        close $socket;
        is_told($uri, "$name, $method", %gone, %what);
    };
    my $made = sub { scalar @{ $sim->requests } };

    for ([ GET => 'not_applied' ], [ POST => 'unknown' ]) {
        $sim->behave->clear->misbehave(delay_ms => 60_000);
        $leave->('in an attempt', $_->[0], 'gate/', $made, outcome => $_->[1]);
    }

    # long enough for the answer to be there, or the call to be in its place
    my $polls;
    my $while = sub { $made->() && $polls++ > 20 };

    for my $method (qw(GET POST)) {
        $sim->behave->clear->misbehave(status => 429, times => -1);
        $polls = 0;
        $leave->('in a delay', $method, 'patient/', $while,
            wait => 1, outcome => 'not_applied', provider_status => 429);
    }

    $sim->behave->clear;
    $t->get('/line/');
    $polls = 0;
    $leave->('in a queue', POST => 'line/', $while,
        attempts => 0, wait => 1, outcome => 'not_applied',
        credential => '-');

    $polls = 0;
    $leave->('before the connection', POST => 'full/', $while,
        outcome => 'not_applied');

    for ([ GET => 'not_applied' ], [ POST => 'unknown' ]) {
        my ($method, $outcome) = @$_;

        $sim->behave->clear->misbehave(keep => 1, raw => $half);
        $polls = 0;
        $leave->('while a 2xx is held back', $method, 'held/', $while,
            outcome => $outcome, provider_status => 200);
    }

    for my $place ('gate/', 'held/') {
        $sim->behave->clear->misbehave(endless => 1,
            headers => [ [ 'Content-Type', 'application/json' ] ]);
        my $uri = "/${place}endless?n=" . $n++;
        my $got = 0;
        eval {
            $t->post($uri, 'a=b', sink => sub {
                $got += length $_[0];
                die "enough\n" if $got > 100_000;
            });
        };
        is_told($uri, 'in the answer', status => 200, provider_status => 200);
    }
});


subtest 'not of this module' => sub {
    my %none = map { $_ => '-' } qw(provider attempts wait code outcome
        provider_status credential);

    call('another location', GET => 'nginx/', %none, status => 200);
    call('denied',           GET => 'denied/', %none, status => 403);
};


subtest 'in a header' => sub {
    my $told = sub { join '|', map { $_[0]->header($_) } qw(X-Told X-More) };

    $sim->behave->misbehave(status => 503);
    is $told->($t->get('/header/')), 'again 2 -|passed 200', 'of an answer';

    $sim->behave->misbehave(close => 'no_answer');
    is $told->($t->post('/header/', 'a=b')),
        'again 1 provider_error|unknown ', 'of a problem';

    $sim->behave->misbehave(status => 500);
    is $told->($t->post('/header/', 'a=b')),
        'again 1 provider_error|unknown 500', 'of an answer told in a problem';
};

done_testing;
