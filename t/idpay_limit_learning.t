# What the gateway learns of a provider from its answers: when to come again,
# how much is left, and how much is too much.

use strict;
use warnings;

use List::Util qw(uniq);
use POSIX qw(strftime);
use Test::Idpay;
use Test::Idpay::Load qw(park under_way);
use Test::More;
use Time::HiRes qw(sleep time);

my $t        = Test::Idpay->new;
my $sim      = $t->sim('generic', tls => 0);
my $passport = $t->sim('passportreader', tls => 0,
    limits => 'idpay_breaker off;');

my $once = 'idpay_retry off; idpay_breaker off;';

# A provider of which nothing is known for each case and each test, all of them
# the same simulator.
my %limits = (
    (map { $_ => $once } qw(other longer shorter pace free lower reload)),
    workers => "$once idpay_rate 100r/s burst=9 wait=30s;",
    off    => "$once idpay_adaptive off;",
    tried  => 'idpay_retry base=10ms; idpay_breaker off;',
    back   => "$once idpay_rate 100r/s burst=9 wait=0;",
    parked => "$once idpay_rate 1r/s wait=2200ms;",
);


sub date {
    my ($form, $seconds) = @_;
    return strftime($form, gmtime(time + $seconds));
}

my $imf     = '%a, %d %b %Y %H:%M:%S GMT';
my $rfc850  = '%A, %d-%b-%y %H:%M:%S GMT';
my $asctime = '%a %b %e %H:%M:%S %Y';
my $r       = 'RateLimit';

# Status, how long the pause is (0: there is none), fields of the answer.
my @cases = (
    [ 429, 7,    'Retry-After' => 7 ],
    [ 503, 7,    'Retry-After' => 7 ],
    [ 429, 20,   'Retry-After' => sub { date($imf, 20) } ],
    [ 429, 20,   'Retry-After' => sub { date($rfc850, 20) } ],
    [ 503, 20,   'Retry-After' => sub { date($asctime, 20) } ],
    [ 429, 3600, 'Retry-After' => 86_400 ],
    [ 503, 3600, 'Retry-After' => '9' x 30 ],
    [ 429, 3600, 'Retry-After' => sub { date($imf, 100_000) } ],
    (map { [ 429, 0, 'Retry-After' => $_ ] } 'soon', '-7', '7.5', '7, 8',
        'Sun, 06 Nov 1994 08:49:37 GMT', 'Sun, 40 Foo 2094 08:49:37 GMT'),
    [ 503, 0, 'Retry-After' => 'soon' ],
    [ 503, 0 ],
    (map { [ $_, 0, 'Retry-After' => 7 ] } 200, 404, 500, 502),

    [ 200, 9,  $r => '"default";r=0;t=9' ],
    [ 404, 9,  $r => '"default";r=0;t=9' ],
    [ 429, 9,  $r => '"default";r=0;t=9' ],
    [ 200, 30, $r => '"a";r=0', "$r-Policy" => '"b";q=9;w=8,"a";q=9;w=30' ],
    [ 200, 8,  $r => '"a";r=50;t=5, "b";r=0;t=8, "c";r=0;t=6' ],
    [ 200, 8,  $r => '"a";r=50;t=5', $r => '"b";r=0;t=8' ],
    [ 200, 12, $r => 'limit=10, remaining=0, reset=12' ],
    (map { [ 200, 14, "$_-Limit" => 10, "$_-Remaining" => 0,
            "$_-Reset" => 14 ] } $r, 'X-RateLimit', 'X-Rate-Limit'),
    [ 200, 20, 'X-RateLimit-Remaining' => 0,
        'X-RateLimit-Reset' => sub { int(time) + 20 } ],
    [ 200, 3600, $r => '"default";r=0;t=' . '9' x 14 ],
    [ 429, 11, $r => '"default";r=0;t=11', 'Retry-After' => 5 ],
    [ 429, 11, $r => '"default";r=0;t=5',  'Retry-After' => 11 ],
    [ 200, 0,  $r => '"default";r=0' ],
    [ 200, 0,  $r => '"default";r=zero;t=9' ],
    [ 200, 0,  $r => '"default;r=0;t=9' ],
    [ 200, 0,  'X-RateLimit-Remaining' => 0 ],
    [ 200, 0,  'X-RateLimit-Remaining' => 0, 'X-RateLimit-Reset' => -9 ],
);
$limits{"case$_"} = $once for 0 .. $#cases;

my $upstreams = join "\n", map { <<"CONF" } sort keys %limits;
    upstream $_ {
        server          %%SIM_generic%%;
        keepalive       64;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        $limits{$_}
    }
CONF

my $locations = join '',
    map {"location /$_/ { idpay_pass $_; }\n"} sort keys %limits;

$t->config(<<"CONF", workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format worker '\$pid \$uri';
    access_log %%TESTDIR%%/workers.log worker;

$upstreams
    %%UPSTREAM_passportreader%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        $locations
        location /passport/ { idpay_pass passportreader/; }
        location = /calls { access_log off; stub_status; }
    }
}
CONF

$t->run;


# What the simulator answers a call of that path, once.
sub answers {
    my ($path, $status, @fields) = @_;

    my @headers;
    while (my ($name, $value) = splice @fields, 0, 2) {
        push @headers, [ $name, ref $value ? $value->() : $value ];
    }
    my %own = $status == 200 ? () : (status => $status, body => 'theirs');
    return if !%own && !@headers;

    $sim->misbehave(match => "^$path", headers => \@headers, %own);
    return;
}


# For how long calls to the provider have to wait now, as who has no time for
# that is told: 0 where it is let through.
sub paused {
    my $name = shift;

    my $r = $t->get("/$name/", headers => [ [ Prefer => 'wait=1' ] ]);

    # what is late to answer was let through, too
    return 0          if $r->status == 200 || $r->json->{attempts};
    return $r->status if $r->status != 429;

    my ($fault, $seconds) = @{ $r->json }{qw(fault retry_after)};
    return 'no problem'  if ($fault // '') ne 'gateway';
    return 'two of them' if $seconds ne $r->header('Retry-After');
    return $seconds;
}


# Dates and rests of a second are rounded, and the test takes time too: since
# then the pause may have begun.
sub is_paused {
    my ($got, $seconds, $since, $name) = @_;

    ok $got <= $seconds && $got >= $seconds - 2 - (time - $since), $name
        or diag "$got, not $seconds";
    return;
}


sub statuses {
    return [ map { $t->read_response($_)->status } @_ ];
}


# s from the first on
sub arrivals {
    my @times = sort { $a <=> $b } map { $_->{time} } @{ $sim->requests };
    return map { $_ - $times[0] } @times;
}


subtest 'fields' => sub {
    for my $n (0 .. $#cases) {
        my ($status, $pause, @fields) = @{ $cases[$n] };
        my $name = join ' ', $status, map { ref() ? 'at a time' : $_ } @fields;

        my $since = time;
        answers("/case$n/", $status, @fields);
        my $r = $t->get("/case$n/");
        is $r->status, $status == 500 ? 502 : $status, "$name: it is told";
        is $r->json->{provider_status}, $status, "$name: in a problem"
            if $status >= 400;

        my $paused = paused("case$n");
        $pause ? is_paused($paused, $pause, $since, "$name: $pause s")
               : is($paused, 0, "$name: no pause");
    }
};


subtest 'who pauses' => sub {
    $sim->clear;
    my $start = time;
    answers('/workers/', 429, 'Retry-After' => 2);
    is $t->get('/workers/')->status, 429, 'a provider wants a pause';

    my @calls = park($t, 10, uri => '/workers/x');
    is_deeply [ map { $t->get('/other/')->status } 1 .. 4 ], [ (200) x 4 ],
        'another one has its calls meanwhile';
    is_deeply statuses(@calls), [ (200) x 10 ], 'this one in the end';
    my ($first) = grep { $_->{target} eq '/workers/x' } @{ $sim->requests };
    cmp_ok $first->{time} - $start, '>=', 1.98, 'and none before';

    my @pids = uniq map {m{^(\d+) /workers/x}} split /\n/,
        $t->read('workers.log');
    is scalar @pids, 2, 'of two workers';
};


subtest 'pauses that overlap' => sub {
    for my $case ([ longer => 9, 4 ], [ shorter => 4, 9 ]) {
        my ($name, @seconds) = @$case;

        $sim->clear;
        $sim->misbehave(match => "^/$name/$_", status => 429, hold => 1,
            retry_after => $seconds[$_]) for 0 .. 1;
        my @calls = map {
            my $n = $_;
            my ($call) = park($t, 1, uri => "/$name/$n");
            is scalar @{ $sim->wait_requests($n + 1) }, $n + 1, 'under way';
            $call;
        } 0 .. 1;

        my $since = time;
        for my $call (@calls) {
            $sim->release(1);
            is $t->read_response($call)->status, 429, 'one has its answer';
        }
        is_paused(paused($name), 9, $since,
            "$seconds[0] and $seconds[1]: the longer");
    }
};


# Five at once and six in the two seconds.
$t->measured('a quota' => sub {
    my %took;
    for my $name (qw(pace free)) {
        answers("/$name/", 200, RateLimit => '"default";r=11;t=2')
            if $name eq 'pace';
        is $t->get("/$name/")->status, 200, "$name: a call";

        $sim->clear;
        is_deeply statuses(park($t, 11, uri => "/$name/")), [ (200) x 11 ],
            'eleven calls';
        $took{$name} = [ arrivals() ];
    }
    my @pace = @{ $took{pace} };
    cmp_ok $pace[-1], '>', 1.4, 'what is left is for the whole time';
    cmp_ok $pace[3],  '<', $pace[-1] / 3, 'though half of it goes at once';
    cmp_ok $took{free}[-1], '<', $pace[-1] / 3, 'without the field all do';
});


subtest 'idpay_adaptive off' => sub {
    for ([ 429, 'Retry-After' => 9 ], [ 503, 'Retry-After' => 9 ],
        [ 200, $r => '"default";r=0;t=9' ], [429])
    {
        answers('/off/', @$_);
        is $t->get('/off/')->status, $_->[0], "answer @$_";
        is paused('off'), 0, 'no pause';
    }

    # which would be 5 a second
    $sim->clear;
    my $start = time;
    is_deeply statuses(park($t, 100, uri => '/off/')), [ (200) x 100 ],
        'a hundred calls';
    cmp_ok time - $start, '<', 15, 'nor a rate';
};


$t->measured('a refusal' => sub {
    my %took;
    for my $when (qw(before after)) {
        $sim->clear;
        is_deeply statuses(park($t, 10, uri => '/lower/')), [ (200) x 10 ],
            "$when: ten calls";
        $took{$when} = (arrivals())[-1];

        next if $when eq 'after';
        answers('/lower/', 429);
        is $t->get('/lower/')->status, 429, 'one that is refused';
    }
    cmp_ok $took{after}, '>', 0.4, 'the rate is lower';
    cmp_ok $took{before}, '<', $took{after} / 2, 'than it was';
});


subtest 'what is repeated' => sub {
    $sim->clear;
    answers('/tried/', 429, 'Retry-After' => 1);
    my $start = time;
    is $t->get('/tried/')->status, 200, 'a 429 is';
    cmp_ok time - $start, '>=', 0.99, 'when the provider says';
    is scalar @{ $sim->requests }, 2, 'once';

    for my $case ([0], [ 1, 'Retry-After' => 1 ]) {
        my ($pause, @fields) = @$case;
        $start = time;
        $passport->clear->misbehave(status => 429, body => 'too many',
            headers => @fields ? [ \@fields ] : []);

        my $r = $t->post('/passport/api/v1/session.get', '{"id":1}');
        my $problem = $r->json;
        is_deeply [ $r->status, @$problem{qw(code provider_status attempts)} ],
            [ 429, 'rate_limited', 429, 1 ], 'one of PassportReader is told';
        is_deeply [ $r->headers('Retry-After'), $problem->{retry_after} ],
            [ 1, 1 ], 'and when to come again' if $pause;
        is scalar @{ $passport->requests }, 1, 'and not repeated';

        $t->post('/passport/api/v1/session.get', '{"id":1}');
        cmp_ok time - $start, '>=', 0.99, 'though heeded' if $pause;
        is scalar @{ $passport->requests }, 2, 'the next call is another';
    }
};


# It is right: who comes then is let through. Where nobody may wait, nobody is
# before.
$t->measured('Retry-After of the gateway' => sub {
    my $told = sub {
        my ($r, $name) = @_;
        my $problem = $r->json;
        is $r->status, 429, "$name: 429";
        is_deeply [ @$problem{qw(code fault attempts outcome)} ],
            [ 'rate_limited', 'gateway', 0, 'not_applied' ], "$name: whose";
        is $r->header('Retry-After'), $problem->{retry_after}, "$name: when";
        return $problem->{retry_after};
    };
    $sim->misbehave(match => '^/back/', status => 429, retry_after => 3);
    $sim->misbehave(match => '^/parked/', status => 429, retry_after => 4,
        hold => 1);

    # all but the first of these have places when the pause begins
    $sim->clear;
    my @calls = park($t, 3, uri => '/parked/');
    ok under_way($t, 3), 'they are there';
    is scalar @{ $sim->wait_requests(1) }, 1, 'the first at the provider';
    $sim->release;
    my $back  = $t->get('/back/');
    my $start = time;
    is $back->status, 429, 'a pause';
    is $told->($t->get('/back/'), 'no wait'), 3, 'it is told how long';

    is $t->read_response(shift @calls)->status, 429, 'another one';
    for (@calls) {
        my $seconds = $told->($t->read_response($_), 'who had a place');
        cmp_ok $seconds, '>=', 2, 'the rest of the pause';
        cmp_ok $seconds, '<=', 5, 'and the places that were given out';
    }
    cmp_ok time - $start, '>', 1, 'they waited as long as they may';

    my $seconds = $told->($t->get('/parked/'), 'a newcomer');
    my $then    = time + $seconds;
    cmp_ok $seconds, '<=', 4, 'to whom their places are free';

    sleep $start + 2 - time if time < $start + 2;
    my $early = $t->get('/back/')->status;
    SKIP: {
        skip 'too late to tell', 1 if time > $start + 2.9;
        is $early, 429, 'a second too early';
    }

    # nginx's clock may be some ms behind
    sleep $start + 3.1 - time if time < $start + 3.1;
    is $t->get('/back/')->status, 200, 'who comes then is let through';

    sleep $then + 0.1 - time if time < $then + 0.1;
    is $t->get('/parked/')->status, 200, 'there, too';
});


subtest 'a reload' => sub {
    answers('/reload/', 429, 'Retry-After' => 100);
    is $t->get('/reload/')->status, 429, 'a pause';
    $t->reload;
    my $paused = paused('reload');
    cmp_ok $paused, '<=', 100, 'is not longer';
    cmp_ok $paused, '>=', 80,  'and not forgotten';
};

done_testing;
