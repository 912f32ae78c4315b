#!/usr/bin/env perl

# Retries are a share of the calls: a provider that fails each of them gets no
# more than that, and one that fails a few of them is hardly noticed.
# IDPAY_BUDGET_SECONDS is how long each load lasts (1.5).

use strict;
use warnings;

use List::Util qw(sum0);
use Test::Idpay;
use Test::Idpay::Load qw(load);
use Test::More;

# The retries that are allowed in 10 seconds whatever the calls, and a few that
# are counted in the next ones.
use constant { ALWAYS => 3, FEW => 4 };

my $seconds = $ENV{IDPAY_BUDGET_SECONDS} || 1.5;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate', tls => 0)->record(0);

my %upstreams = (
    usual => 'tries=4 base=1ms',
    all   => 'tries=4 base=1ms budget=100%',
    half  => 'tries=100 base=1ms max=5ms budget=50%',
    none  => 'tries=4 base=1ms budget=0%',
    slow  => 'tries=4 base=1ms',
    shaky => 'tries=4 base=1ms',
);
my %budget = (usual => 0.2, all => 1, half => 0.5, none => 0, slow => 0.2);

my $upstreams = join '', map { <<"CONF" } sort keys %upstreams;
    upstream $_ {
        server          %%SIM_gate%%;
        keepalive       8;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_adaptive  off;
        idpay_breaker   off;
        idpay_retry     $upstreams{$_};
    }
CONF
my $locations = join '', map {"        location /$_ { idpay_pass $_; }\n"}
    keys %upstreams;

$t->config(<<"CONF", workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

$upstreams

    server {
        listen 127.0.0.1:%%PORT_8080%%;
$locations
    }
}
CONF
$t->run;


sub requests {
    return sum0 map { $_->[1] } @{ $sim->series };
}


# Fails every call of a load; [calls, attempts].
sub fail_all {
    my ($name, $rule, %load) = @_;

    $sim->behave->clear->misbehave(status => 503, times => -1, @$rule);
    my $result = load($t, uri => "/$name", seconds => $seconds, %load);

    is_deeply [ keys %{ $result->{status} } ], [503], "$name: all fail";
    is_deeply $result->{errors}, {}, "$name: with the provider's answer";
    return ($result->{calls}, requests());
}


for my $name (sort keys %budget) {
    my $rule = $name eq 'slow' ? [ delay_ms => 50 ] : [];
    my @load = $name eq 'slow' ? (callers => 20) : (rate => 100);

    $t->measured("the budget: $name" => sub {
        my ($calls, $attempts) = fail_all($name, $rule, @load);
        note "$name: $calls calls, $attempts attempts";

        ok $attempts <= $calls * (1 + $budget{$name})
            + ALWAYS * (1 + $seconds / 10) + FEW,
            "$name: no more than the budget"
            or diag "$calls calls, $attempts attempts";
        ok $attempts >= $calls * (1 + $budget{$name} * 0.6) + ALWAYS - 1,
            "$name: which is used"
            or diag "$calls calls, $attempts attempts";
    });
}


$t->measured('a provider that fails one call in twenty' => sub {
    $sim->behave->clear->misbehave(status => 503, times => -1, chance => 0.05);
    my $result = load($t, uri => '/shaky', seconds => $seconds, rate => 100);
    $sim->behave;

    my $failed = $result->{calls} - ($result->{status}{200} // 0);
    ok requests() > $result->{calls}, 'it did';
    ok $failed <= 1, 'callers do not see it'
        or diag "$failed of $result->{calls} failed";
});

done_testing;
