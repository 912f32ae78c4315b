#!/usr/bin/env perl

# When a call is made again: after which delays, how often, what each attempt
# brings along, and what the caller sees of them. IDPAY_SCHEDULE_BASE is the
# first delay in ms (100); 2000 makes the schedule PassportReader's own.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Load qw(park);
use Test::More;
use Time::HiRes qw(time);

# How much a delay may be longer on a busy machine.
use constant { FACTOR => 1.5, SLACK => 0.4 };

my $base = $ENV{IDPAY_SCHEDULE_BASE} || 100;
my $max  = $base * 8;

my $quick = 'idpay_retry tries=3 base=1ms jitter=none budget=100%;'
    . 'idpay_breaker off; idpay_adaptive off; idpay_rate off;';

my $t = Test::Idpay->new;
$t->sim($_, limits => $quick) for qw(plusid plasmapay plaid);
$t->sim('passportreader',
    limits => "idpay_retry tries=5 base=${base}ms factor=2 max=${max}ms "
        . 'jitter=none budget=100%; idpay_breaker off; idpay_adaptive off;');
my $sim = $t->sim('generic', tls => 0);
$t->secret('key');

# Each name is a location too.
my %generic = (
    tries1 => 'idpay_retry tries=1 base=1ms;',
    tries2 => 'idpay_retry tries=2 base=1ms;',
    tries3 => 'idpay_retry tries=3 base=1ms;',
    tries6 => 'idpay_retry tries=6 base=1ms budget=100%;',
    off    => 'idpay_retry off;',
    capped => 'idpay_retry tries=5 base=50ms factor=3 max=150ms jitter=none '
        . 'budget=100%;',
    jitter => 'idpay_retry tries=2 base=600ms max=600ms budget=100%;',
    late   => 'idpay_retry tries=2 base=8s max=8s jitter=none budget=100%;',
    soon   => 'idpay_retry tries=2 base=300ms jitter=none budget=100%;',
    short  => 'idpay_retry base=5s jitter=none; idpay_timeout 2s;',
    gone   => 'idpay_retry base=5s jitter=none; idpay_timeout 2s;',
    none   => 'idpay_retry tries=3 base=1ms jitter=none budget=0%;',
    last   => 'idpay_retry tries=3 base=1ms budget=100%;',
    header => 'idpay_retry tries=3 base=1ms;',
    query  => 'idpay_retry tries=3 base=1ms;',
);

my $upstreams = join '', map { <<"CONF" } sort keys %generic;
    upstream $_ {
        server          @{[ $_ eq 'gone' ? '127.0.0.1:%%PORT_closed%%'
            : '%%SIM_generic%%' ]};
        keepalive       8;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      @{[ $_ eq 'query' ? 'query key' : 'header X-Key' ]};
        idpay_secret    key file:%%SECRET_key%%;
        idpay_adaptive  off;
        idpay_breaker   off;
        $generic{$_}
    }
CONF

my $locations = join '', map {"        location /$_/ { idpay_pass $_; }\n"}
    sort keys %generic;

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_plusid%%
    %%UPSTREAM_passportreader%%
    %%UPSTREAM_plasmapay%%
    %%UPSTREAM_plaid%%
$upstreams

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /v1/                    { idpay_pass plusid; }
        location /api/                   { idpay_pass passportreader; }
        location /business/              { idpay_pass plasmapay; }
        location /identity_verification/ { idpay_pass plaid; }
$locations
        location /shown/ {
            add_header X-Shown "\$upstream_http_x_try" always;
            idpay_errors off;
            idpay_pass last;
        }
        location /short_passed/ { idpay_errors off; idpay_pass short; }
        location /direct/ {
            add_header X-Shown "\$upstream_http_x_try" always;
            proxy_buffering off;
            idpay_pass last;
        }
    }
}
CONF
$t->run;

my $json = [ [ 'Content-Type', 'application/json' ] ];

# A call of each provider that may be made twice.
my %call = (
    plusid         => [ GET  => '/v1/requests' ],
    plasmapay      => [ GET  => '/business/api/v1/public/ping' ],
    passportreader => [ POST => '/api/v1/session.create', '{}' ],
    plaid          => [ POST => '/identity_verification/list',
        '{"template_id":"t","client_user_id":"u"}' ],
    (map { $_ => [ GET => "/$_/" ] } keys %generic),
);


sub sim_of { return $t->{sims}{ $_[0] } // $sim }


sub call {
    my ($name, %opt) = @_;
    my ($method, $uri, $body) = @{ $call{$name} };

    return $t->http($method, $uri, body => $body, headers => $json,
        timeout => 100, %opt);
}


# What a caller is told of the last answer.
sub told {
    my $r = shift;

    my $told = $r->json // {};
    return [ $r->status, @$told{qw(code provider_status attempts)} ];
}


# The budget is a share of the calls of late.
sub calls_of_late {
    my ($name, $n) = @_;

    my $socket;
    for (1 .. $n) {
        $socket = call($name, socket => $socket)->socket;
    }
    return;
}


# Seconds between the requests that the simulator got.
sub gaps {
    my @times = sort { $a <=> $b } map { $_->{time} } @_;
    return map { $times[ $_ + 1 ] - $times[$_] } 0 .. $#times - 1;
}


sub is_delay {
    my ($gap, $ms, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok $gap >= $ms / 1000 * 0.95 && $gap <= $ms / 1000 * FACTOR + SLACK,
        "$name: after $ms ms" or diag "$gap s";
    return;
}


$t->measured('the schedule of PassportReader' => sub {
    my $reader = sim_of('passportreader');

    calls_of_late('passportreader', 20);
    $reader->clear->misbehave(status => 500, times => -1);
    my $r = call('passportreader');
    is_deeply told($r), [ 502, 'provider_error', 500, 5 ], 'it fails';
    $reader->behave;

    my @gaps = gaps(@{ $reader->requests });
    diag 'PassportReader: ' . join ' ', map { sprintf '%.3f', $_ } @gaps
        if $ENV{IDPAY_SCHEDULE_BASE};
    is scalar @gaps, 4, 'four more attempts';
    is_delay($gaps[$_], $base * 2**$_, 'attempt ' . ($_ + 2)) for 0 .. $#gaps;
});


$t->measured('no delay is longer than max' => sub {
    calls_of_late('capped', 10);
    $sim->clear->misbehave(status => 500, times => -1);
    call('capped');
    $sim->behave;

    my @gaps = gaps(@{ $sim->requests });
    is scalar @gaps, 4, 'four more attempts';
    is_delay($gaps[$_], (50, 150, 150, 150)[$_], 'attempt ' . ($_ + 2))
        for 0 .. $#gaps;
});


$t->measured('jitter' => sub {
    $sim->clear;
    $sim->misbehave(status => 500, match => "^/jitter/$_\$") for 0 .. 39;
    my @calls = park($t, 40, uri => sub {"/jitter/$_[0]"});
    is_deeply [ map { $t->read_response($_)->status } @calls ],
        [ (200) x 40 ], 'forty calls, each made again';

    my %at;
    push @{ $at{ $_->{target} } }, $_ for @{ $sim->requests };
    my @gaps = sort { $a <=> $b } map { gaps(@$_) } values %at;

    is scalar @gaps, 40, 'once each';
    ok $gaps[0] < 0.3,   'some after less than half of the delay';
    ok $gaps[-1] > 0.3,  'and some after more';
    ok $gaps[-1] < 0.6 * FACTOR + SLACK, 'none after more than all of it'
        or diag "@gaps";
});


my @days = qw(Sun Mon Tue Wed Thu Fri Sat);
my @long = qw(Sunday Monday Tuesday Wednesday Thursday Friday Saturday);
my @months = qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec);


# The three forms of RFC 9110.
sub dates {
    my ($s, $m, $h, $day, $month, $year, $wday) = gmtime shift;

    my $time = sprintf '%02d:%02d:%02d', $h, $m, $s;
    return (
        sprintf('%s, %02d %s %d %s GMT',
            $days[$wday], $day, $months[$month], $year + 1900, $time),
        sprintf('%s, %02d-%s-%02d %s GMT',
            $long[$wday], $day, $months[$month], $year % 100, $time),
        sprintf('%s %s %2d %s %d',
            $days[$wday], $months[$month], $day, $time, $year + 1900),
    );
}


# Of calls that all were made at once: [time of the first, of the second].
sub times_of {
    my ($location, @fields) = @_;

    $sim->clear;
    for (0 .. $#fields) {
        $sim->misbehave(match => "^/$location/$_\$", status => 429,
            headers => [ [ 'Retry-After', $fields[$_] ] ]);
    }
    my @calls = park($t, scalar @fields, uri => sub {"/$location/$_[0]"});
    is_deeply [ map { $t->read_response($_)->status } @calls ],
        [ (200) x @fields ], 'all are made again';

    my @times;
    push @{ $times[ $_->{target} =~ s{.*/}{}r ] }, $_->{time}
        for @{ $sim->requests };
    return @times;
}


# The delay itself would be 8 seconds.
$t->measured('Retry-After instead of the delay' => sub {
    my $date = int(time) + 3;
    my @past = dates(time - 100);
    my @times
        = times_of('late', 0, 1, 2, dates($date), $past[0], $past[1]);

    for (0 .. 2) {
        is_delay($times[$_][1] - $times[$_][0], $_ * 1000, 'seconds');
    }
    for (3 .. 5) {
        my $late = $times[$_][1] - $date;
        ok $late > -0.1 && $late < 1, 'a date, form ' . ($_ - 2)
            or diag "$late s after it";
    }
    is_delay($_->[1] - $_->[0], 0, 'a date that has passed')
        for @times[ 6, 7 ];
});


$t->measured('a Retry-After that is none' => sub {
    my @times = times_of('soon', 'soon', '-1', '1.5', '',
        'Thu, 99 Foo 2030 00:00:00 GMT');
    is_delay($_->[1] - $_->[0], 300, 'the delay itself') for @times;
});


subtest 'tries' => sub {
    calls_of_late('tries6', 10);

    my %tries = (tries1 => 1, tries2 => 2, tries3 => 3, tries6 => 6, off => 1);
    for my $name (sort keys %tries) {
        $sim->behave->clear->misbehave(status => 503, times => -1);
        is_deeply told(call($name)),
            [ 503, 'provider_unavailable', 503, $tries{$name} ],
            "$name: its answer is told";
        is scalar @{ $sim->requests }, $tries{$name}, "$name: attempts";
    }
    $sim->behave;
};


subtest 'which answers are final' => sub {
    my %retried = (
        passportreader => [ 500, 502, 503, 504, 599 ],
        plusid         => [ 429, 500, 502, 503, 504, 599 ],
        plaid          => [ 429, 500, 502, 503, 504, 599 ],
        plasmapay      => [ 429, 500, 502, 503, 504 ],
    );
    my %told = (
        400 => [ 400, 'invalid_request' ],
        401 => [ 502, 'credential_rejected' ],
        402 => [ 402, 'request_failed' ],
        403 => [ 403, 'permission_denied' ],
        404 => [ 404, 'not_found' ],
        405 => [ 405, 'invalid_request' ],
        408 => [ 400, 'invalid_request' ],
        409 => [ 409, 'conflict' ],
        422 => [ 422, 'validation_failed' ],
        425 => [ 400, 'invalid_request' ],
        429 => [ 429, 'rate_limited' ],
        501 => [ 502, 'provider_error' ],
        505 => [ 502, 'provider_error' ],
    );
    my %final = (
        passportreader =>
            [ 400, 401, 402, 403, 404, 408, 409, 425, 429, 501, 505 ],
        plusid    => [ 400 .. 405, 408, 409, 422, 425, 501, 505 ],
        plaid     => [ 400, 401, 403, 404, 408, 409, 425, 501, 505 ],
        plasmapay => [ 400, 401, 403, 404, 408, 409, 422, 501, 505 ],
    );

    for my $name (sort keys %final) {
        my $provider = sim_of($name);

        for my $status (@{ $retried{$name} }) {
            calls_of_late($name, 2);
            $provider->clear->misbehave(status => $status);
            is call($name)->status, 200, "$name: $status, then 200";
            is scalar @{ $provider->requests }, 2, 'made again';
        }
        for my $status (@{ $final{$name} }) {
            $provider->clear->misbehave(status => $status);
            is_deeply told(call($name)), [ @{ $told{$status} }, $status, 1 ],
                "$name: $status is told";
            is scalar @{ $provider->requests }, 1, 'and is final';
            $provider->behave;
        }
    }
};


subtest 'attempts are equal to the byte' => sub {
    my %header = (
        plusid         => ['X-API-Key'],
        plasmapay      => ['Authorization'],
        passportreader => ['Authorization'],
        plaid          => [qw(PLAID-CLIENT-ID PLAID-SECRET Plaid-Version)],
        header         => ['X-Key'],
        query          => [],
    );

    for my $name (sort keys %header) {
        my $provider = sim_of($name);
        calls_of_late($name, 3);
        $provider->clear->misbehave(status => 503, times => 2);
        my $r = call($name);
        is $r->status, 200, "$name: in the end";

        my @raw = map { $_->{raw} } @{ $provider->requests };
        is_deeply \@raw, [ ($raw[0]) x 3 ], "$name: three times the same";

        my $last = $provider->last_request;
        is scalar $provider->header($last, $_), 1, "$name: $_ once"
            for @{ $header{$name} };
    }
    is $sim->last_request->{target}, '/query/?key=' . $t->secret_value('key'),
        'the argument too';
};


subtest '$upstream_status' => sub {
    calls_of_late('last', 40);
    $sim->clear->misbehave(status => 503)->misbehave(status => 500);
    is $t->get('/shown/status')->status, 200, 'in the end';
    $t->expect_access_log(qr{/shown/status.* 200 \d+ upstream="[0-9.:]+, }
        . qr{[0-9.:]+, [0-9.:]+" upstream_status="503, 500, 200"});
};


subtest 'nothing of an answer that was dropped' => sub {
    my @names = qw(X-Try Set-Cookie ETag Last-Modified Link Content-Encoding
        Content-Language Cache-Control Expires Location Content-Disposition
        Accept-Ranges Refresh Retry-After Vary X-Accel-Buffering);

    # each once with and once without buffers
    my $number = 0;
    for my $what (
        map { ($_, $_) } [ body => 'dropped' ], [ body_size => 300_000 ],
        [ body => 'dropped', chunked => 1 ],
        [ body => 'dropped', truncate => 'mid_body' ],
        [ body => 'dropped', reset => 'mid_body' ]
        )
    {
        my $uri = $number++ % 2 ? '/direct/leak' : '/shown/leak';
        $sim->clear->misbehave(status => 503, times => 2, @$what, headers =>
                [ [ 'Content-Type', 'text/dropped' ],
                    map { [ $_, $_ eq 'Retry-After' ? 0 : 'dropped' ] }
                    @names ]);
        $sim->misbehave(json => { a => 1 });

        my $r = $t->get($uri);
        is $r->status, 200, "$uri, @$what: the last one passes";
        is $r->body, '{"a":1}', 'with its body';
        is $r->raw =~ /dropped/, '', 'nothing of the first ones';
        is_deeply [ grep { defined $r->header($_) } @names ], [],
            'not one header';
        is $r->header('Content-Type'), 'application/json', 'its type';
        is $r->header('X-Shown'), undef, 'nor in a variable';
        is scalar @{ $sim->requests }, 3, 'three attempts';
    }
};


subtest 'the last answer passes as it is' => sub {
    $sim->clear->misbehave(status => 503, body => 'first')
        ->misbehave(status => 500, body => 'second');
    $sim->misbehave(status => 502, body => "the\0last",
        headers => [ [ 'X-Try', 'last' ], [ 'Content-Type', 'a/b' ] ]);

    my $r = $t->get('/shown/last');
    is $r->status, 502, 'its status';
    is $r->body, "the\0last", 'its body';
    is $r->header('X-Try'), 'last', 'its headers';
    is $r->header('X-Shown'), 'last', 'in a variable';
    is $r->header('Retry-After'), undef, 'and none that it had not';
};


subtest 'the last answer is told' => sub {
    my @answers = map { [
        status  => $_,
        json    => { try => "dropped $_" },
        headers => [ [ 'X-Try', $_ ], [ 'Retry-After', 0 ] ],
    ] } 503, 429, 500;
    $sim->clear;
    $sim->misbehave(@$_) for @answers;

    my $r = $t->get('/direct/last');
    is_deeply told($r), [ 502, 'provider_error', 500, 3 ], 'the last one';
    is $r->header('X-Try'), undef, 'its headers do not pass';
    is $r->header('X-Shown'), 500, 'but are in a variable';
    is $r->header('Retry-After'), undef, 'no delay of another one';
    unlike $r->raw, qr/dropped/, 'nothing of any body';
};


$t->measured('the connection is kept' => sub {
    my $plusid = sim_of('plusid');

    for my $what ([ body => 'small' ], [ json => { code => 1 } ], [],
        [ body => 'x' x 1500 ])
    {
        calls_of_late('plusid', 3);
        my $before = $plusid->connections;
        $plusid->clear->misbehave(status => 503, times => 2, @$what);
        is call('plusid')->status, 200, "@$what: in the end";
        is scalar @{ $plusid->requests }, 3, 'three attempts';
        is $plusid->connections, $before, 'on the same connection';
    }

    # nothing to be taken for the next answer
    calls_of_late('plusid', 3);
    $plusid->clear->misbehave(status => 503, times => 2, keep => 1,
        raw => "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 "
            . "OK\r\nContent-Length: 4\r\n\r\nevil");
    my $r = call('plusid');
    is $r->status, 200, 'a second answer behind the first';
    is $r->body =~ /evil/, '', 'is not taken for one';
});


$t->measured('Retry-After of a retry that is not begun' => sub {
    $sim->behave->clear->misbehave(status => 503, times => -1, body => 'no');

    my $began = time;
    my $r     = call('short');
    ok time - $began < 1.5, 'no time: at once';
    is_deeply told($r), [ 503, 'provider_unavailable', 503, 1 ],
        'the answer is told';
    is_deeply [ $r->headers('Retry-After') ], [5], 'with the delay';
    is $r->json->{retry_after}, 5, 'in the document too';
    is scalar @{ $sim->requests }, 1, 'one attempt';

    $r = $t->get('/short_passed/');
    is_deeply [ $r->status, $r->body ], [ 503, 'no' ], 'or passed as it is';
    is_deeply [ $r->headers('Retry-After') ], [5], 'with the delay';

    for my $uri ('/short/', '/short_passed/') {
        $sim->behave->clear->misbehave(status => 503, retry_after => 77);
        $r = $t->get($uri);
        is_deeply [ $r->headers('Retry-After') ], [77],
            "$uri: the provider's own stays";

        $sim->behave->misbehave(status => 404, times => -1);
        is $t->get($uri)->header('Retry-After'), undef,
            'not where it is final';
    }

    # three retries are always allowed
    $sim->behave->clear->misbehave(status => 503, times => -1);
    my @r = map { call('none') } 1 .. 4;
    is scalar @{ $sim->requests }, 7, 'the budget is used up';
    is_deeply [ map { scalar $_->header('Retry-After') } @r ],
        [ undef, 1, 1, 1 ],
        'none where all tries were made, else the delay';
    $sim->behave;

    $r = call('gone');
    is $r->status, 503, 'no connection and no time: a problem';
    is $r->header('Retry-After'), 5, 'with the delay';
    is $r->json->{retry_after}, 5, 'in the document too';
});

done_testing;
