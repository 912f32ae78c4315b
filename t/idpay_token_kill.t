#!/usr/bin/env perl

# Whatever is killed while tokens are renewed: a consent whose new refresh token
# the gateway has got is not lost, and none is stuck for longer than a lease.
# IDPAY_KILLS says how often (default 20); each tenth time all of nginx.

use strict;
use warnings;

use List::Util qw(shuffle sum0);
use Test::Idpay;
use Test::Idpay::Consent qw(give);
use Test::Idpay::Gopay   qw(forget_requests profile status_uri);
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(sleep time);

# AT_ONCE: renewals that each kill may meet. LEASE, LATE: s; an answer that was
# given so short a time before may not have been read.
use constant { AT_ONCE => 4, ALL => 10, LEASE => 20, LATE => 0.2 };

my $kills    = $ENV{IDPAY_KILLS} || 20;
my @profiles = (1001 .. 1000 + $kills * AT_ONCE + 10);

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay');

$t->secret('store_key');
$t->allow_log(qr/worker process \d+ exited on signal 9/);
$t->allow_log(qr/shared memory zone "idpay" was locked by \d+/);

$t->config(<<'CONF', workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;
    idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store_key%%;

    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        location /v1/       { idpay_pass gopay; }
        location = /consent  { idpay_consent_start gopay; }
        location = /callback { idpay_consent_callback gopay; }
    }
}
CONF

$t->run;

is sum0(map { give($t, $sim, $_)->status != 200 } @profiles), 0,
    'all have given consent';
forget_requests($sim);

my (@kills, @waiting);

for my $n (1 .. $kills) {
    my @renewed = splice @profiles, 0, AT_ONCE;
    push @profiles, @renewed;

    $sim->act(do => 'expire', kind => 'client', profile => $_) for @renewed;

    my @calls = park($t, AT_ONCE, uri => sub { status_uri($renewed[ $_[0] ]) });
    sleep rand 0.03;

    my $before = time;

    if ($n % ALL == 0) {
        $t->kill;
    } else {
        my $workers = wait_until(20, sub {
            my @pids = $t->worker_pids;
            return @pids && \@pids;
        });
        my ($worker) = shuffle @$workers;
        kill KILL => $worker or die "no worker $worker\n";
    }

    push @kills, [ $before, time ];
    $t->run if $n % ALL == 0;

    # those of the other worker go on
    push @waiting, @calls;
}

my $start  = time;
my @calls  = map { [ $_, park($t, 1, uri => status_uri($_)) ] } @profiles;
my %status = map { $_->[0] => $t->read_response($_->[1], 'GET', timeout => 90)->status }
    @calls;
my $took = time - $start;

cmp_ok $took, '<', 3 * LEASE, sprintf 'none is stuck: %.1f s', $took;

my @lost = grep { $status{$_} == 403 } keys %status;
is_deeply [ grep { $status{$_} != 200 && $status{$_} != 403 } keys %status ],
    [], 'each call passes, or wants a consent';

# The provider's last renewal of each that was lost was under way at a kill: no
# one can have what the one who was killed had not read.
my %last;
for my $request (@{ $sim->act(do => 'report')->{requests} }) {
    next if $request->{kind} ne 'refresh' || $request->{result} ne 'ok';
    $last{ $request->{profile} } = $request;
}

my @blameless = grep {
    my $request = $last{$_};
    !$request || !grep {
        $request->{began} <= $_->[1]
            && (!defined $request->{ended}
            || $_->[0] <= $request->{ended} + LATE)
    } @kills;
} @lost;

is_deeply \@blameless, [], 'no consent is lost whose tokens were received';

diag sprintf '%d kills, %d profiles, %d lost with the answer', $kills,
    scalar @profiles, scalar @lost;

done_testing;
