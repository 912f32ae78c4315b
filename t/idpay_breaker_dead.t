#!/usr/bin/env perl

# A provider that is dead under load, with all that is on by default: it is not
# trampled on, callers are told at once, and when it is well again it is soon
# in use again. IDPAY_DEAD_SECONDS is how long it is dead: 5, with a breaker
# that opens for a second. Where it is set the breaker is the default one too.

use strict;
use warnings;

use List::Util qw(sum0);
use Test::Idpay;
use Test::Idpay::Load    qw(begin_load load);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

# Calls a second; how many can be under way at once, since an answer takes some
# ms, and how much later than its time something may happen.
use constant { RATE => 200, FEW => 10, LATE => 5 };

my $dead    = $ENV{IDPAY_DEAD_SECONDS} || 5;
my $open    = $ENV{IDPAY_DEAD_SECONDS} ? 30 : 1;
my $breaker = "idpay_breaker open=${open}s;";

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate', tls => 0, limits => $breaker);
my $hung = $t->sim('generic', name => 'hung', tls => 0,
    limits => 'idpay_breaker open=1s; idpay_timeout 500ms;');

$t->config(<<"CONF", workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format dead '\$request_uri \$status \$idpay_attempts \$idpay_code';
    access_log %%TESTDIR%%/dead.log dead;
    keepalive_requests 100000;

    %%UPSTREAM_gate%%

    %%UPSTREAM_hung%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /      { idpay_pass gate; }
        location /hung/ { idpay_pass hung; }
    }
}
CONF
$t->run;


# [calls, of those that reached the provider, attempts], by the log.
sub logged {
    my $uri = shift;

    my @attempts = $t->read('dead.log') =~ m{^\Q$uri\E \d+ (\d+) }mg;
    return (scalar @attempts, scalar grep({$_} @attempts), sum0 @attempts);
}


# Seconds between requests, once the first burst was over.
sub gaps_after_burst {
    my @times = map { $_->{time} } @{ $sim->requests };
    my @gaps  = map { $times[ $_ + 1 ] - $times[$_] } 0 .. $#times - 1;

    shift @gaps while @gaps && $gaps[0] < 0.5;
    return @gaps;
}


# Makes calls until one succeeds; the seconds that it took.
sub recovered {
    my $uri = shift;

    my $began = time;
    wait_until($open + 30, sub { $t->get($uri)->status == 200 });
    return time - $began;
}


$t->measured('it answers 503' => sub {
    $sim->clear->misbehave(status => 503, times => -1);
    $t->write('dead.log', '');

    my $result = load($t, uri => '/', rate => RATE, seconds => $dead);
    my ($calls, $reached, $attempts) = logged('/');
    my $made   = @{ $sim->requests };
    my $probes = int($dead / $open) + 1;
    diag "$calls calls, $reached reached the provider, $made attempts, "
        . sprintf 'p99 %.1f ms', $result->{p99}
        if $ENV{IDPAY_DEAD_SECONDS};

    is_deeply $result->{status}, { 503 => $result->{calls} }, 'all fail';
    is_deeply $result->{errors}, {}, 'with an answer';
    is $made, $attempts, 'the attempts are those of the log';

    ok $reached <= 5 + FEW + $probes, 'few calls reach it' or diag $reached;
    ok $made <= $reached * 1.2 + 3, 'and few are made again'
        or diag "$made for $reached";

    my @gaps = gaps_after_burst();
    ok @gaps >= int($dead / $open) - 1, 'then there are probes';
    is_deeply [ grep { $_ < $open * 0.9 } @gaps ], [],
        'one in all of the time that it is open';
    ok $result->{p50} < 100, 'callers are told at once'
        or diag "$result->{p50} ms";
});


$t->measured('it is well again' => sub {
    $sim->behave->clear;
    my $took = recovered('/');
    diag sprintf 'well again after %.1f s', $took if $ENV{IDPAY_DEAD_SECONDS};
    ok $took < $open + LATE, 'within the time that it is open'
        or diag "$took s";

    my $result = load($t, uri => '/', rate => RATE, seconds => 1);
    is_deeply $result->{status}, { 200 => $result->{calls} },
        'all calls succeed';
});


# All that come before the first is given up are under way then.
$t->measured('it hangs' => sub {
    $hung->clear->misbehave(delay_ms => 60_000, times => -1);
    $t->write('dead.log', '');

    my $load = begin_load($t, uri => '/hung/', rate => RATE, seconds => 3);
    ok wait_until(20, sub { $hung->open_connections > 5 }), 'calls wait';
    ok wait_until(20, sub { $hung->open_connections <= 1 }), 'and are given up';

    my $most = 0;
    my $end  = time + 1.5;
    while (time < $end) {
        my $now = $hung->open_connections;
        $most = $now if $now > $most;
    }
    ok $most <= 2, 'after that there is one at a time'
        or diag $most;

    my $result = $load->result;
    my (undef, $reached, $attempts) = logged('/hung/');
    ok $reached <= $result->{calls} / 2, 'most calls do not reach it'
        or diag "$reached of $result->{calls}";
    ok $attempts <= $reached * 1.2 + 3, 'none is made again for long';
    is sum0(map { $_ // 0 } @{ $result->{status} }{qw(429 503 504)}),
        $result->{calls}, 'callers are told';

    $hung->behave->clear;
    ok recovered('/hung/') < 1 + 0.5 + LATE, 'and soon it is well again';
});

done_testing;
