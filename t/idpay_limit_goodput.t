# What comes through when many callers want all that a provider allows, and how
# many attempts it has to refuse for that: of a limit that the gateway was told,
# and of one that it has to find. IDPAY_GOODPUT_SECONDS=30 is the whole
# measurement, one case after the other, with the bounds to keep. Without it the
# cases run side by side, and the bounds are loose: in a few seconds what is
# found in the first one weighs much.

use strict;
use warnings;

use List::Util qw(sum0);
use Test::Idpay;
use Test::Idpay::Load qw(begin_load);
use Test::More;

# LATE: the share of the time that one of all may wait for a processor.
use constant { RATE => 50, LATE => 0.05 };

my $seconds = $ENV{IDPAY_GOODPUT_SECONDS} || 4;
my $long    = $seconds >= 30;
my $callers = $long ? 200 : 100;

my $t = Test::Idpay->new;

# [name, directives of the provider, what the simulator's limit is like]
my $known = [ 'known', 'idpay_rate ' . RATE . 'r/s wait=30s;' ];
my @found = map {
    my $window = $_;
    map { [ "found, $window, $_->[0] Retry-After", '', window => $window,
            @$_[ 1 .. $#$_ ] ] } ['without'], [ 'with', retry_after => 1 ]
} qw(sliding fixed bucket);

# [workers, cases at the same time]
my @batches = $long
    ? ((map { [ $_, $known ] } 1, 2, 4), (map { [ 2, $_ ] } @found))
    : ([ 1, $known, @found[ 0, 2, 4 ] ], [ 4, $known, @found[ 1, 3, 5 ] ]);

my @sims = map {
    $t->sim('generic', tls => 0, name => "p$_")->record(0)
} 0 .. ($long ? 0 : 3);


sub serve {
    my ($workers, @cases) = @_;

    my $upstreams = join "\n", map { <<"CONF" } 0 .. $#cases;
    upstream p$_ {
        server          %%SIM_p$_%%;
        keepalive       64;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        $cases[$_][1]
    }
CONF
    my $locations = join '',
        map {"location /$_/ { idpay_pass p$_; }\n"} 0 .. $#cases;

    $t->quit;
    $t->config(<<"CONF", workers => $workers);
%%GLOBALS%%
events { worker_connections 4096; }
http {
    %%HTTP%%
    keepalive_requests 1000000;

$upstreams
    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        $locations
    }
}
CONF
    $t->run;
    return;
}


# Shares: of what the limit allows in the time (a bucket is full at first), and
# of all attempts.
sub shares {
    my ($sim, %limit) = @_;

    my $allowed = RATE * $seconds;
    $allowed += RATE if ($limit{window} // '') eq 'bucket';

    my $all     = $sim->limited;
    my $in_time = sum0 map { $_->[1] }
        grep { $_->[0] < $seconds * 1000 } @{ $sim->series };

    # whatever was refused is taken for refused in time
    return (($in_time - $all->{refused}) / $allowed,
        $all->{refused} / ($all->{accepted} + $all->{refused}));
}


sub check {
    my ($name, $case, $sim, $load, $late) = @_;

    my (undef, undef, %limit) = @$case;
    my ($good, $refused) = shares($sim, %limit);
    my ($least, $most)
        = $case == $known ? ($long ? (0.98, 0) : (0.9, 0.03))
        :                   ($long ? (0.95, 0.03) : (0.6, 0.2));

    note sprintf '%s: %.1f %% through, %.2f %% of the attempts refused',
        $name, $good * 100, $refused * 100;

    SKIP: {
        skip 'too late to tell', 2 if $late > $seconds * LATE;
        cmp_ok $good,    '>=', $least, "$name: what comes through";
        cmp_ok $refused, '<=', $most,  "$name: what is refused";
    }
    $t->certain(sub {
        is_deeply $load->{errors}, {}, "$name: each call has an answer";
    });

    my %status = %{ $load->{status} };
    delete @status{qw(200 429)};
    is_deeply \%status, {}, "$name: none but the one it should have, or 429";
    return;
}


for (@batches) {
    my ($workers, @cases) = @$_;

    $t->measured(join('; ', "$workers workers", map { $_->[0] } @cases) => sub {
        serve($workers, @cases);

        my $lateness = $t->lateness;
        my @loads    = map {
            my $n = $_;
            my (undef, undef, %limit) = @{ $cases[$n] };
            $sims[$n]->clear->limit(rate => RATE, %limit);
            begin_load($t, callers => $callers, seconds => $seconds,
                uri => "/$n/");
        } 0 .. $#cases;

        my @results = map { $_->result } @loads;
        my $late    = $lateness->();

        for my $n (0 .. $#cases) {
            check("$cases[$n][0], $workers workers", $cases[$n], $sims[$n],
                $results[$n], $late);
        }
    });
}

done_testing;
