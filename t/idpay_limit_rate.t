# idpay_rate as the provider sees it, and the caller that it refuses: pace,
# burst, all workers together, over a reload.

use strict;
use warnings;

use List::Util qw(max uniq);
use Test::Idpay;
use Test::Idpay::Load qw(park);
use Test::More;
use Time::HiRes qw(sleep time);

my $t     = Test::Idpay->new;
my $sim   = $t->sim('generic', tls => 0);
my $plaid = $t->sim('plaid', tls => 0,
    limits => 'idpay_adaptive off; idpay_retry off; idpay_breaker off;');
my $free = $t->sim('plaid', tls => 0, name => 'free');

# A provider for each, all of them the same simulator.
my %rates = (
    paced  => '40r/s wait=30s',
    burst  => '10r/s burst=9 wait=30s',
    minute => '120r/m',
    none   => '24r/m wait=0',
    some   => '1r/s wait=1500ms',
    dry    => '1r/s wait=0 dry_run',
    kept   => '6r/m burst=4 wait=0',
    ruled  => '6r/m burst=1 wait=0 path=/ruled/a',
    over   => '20r/s',
);


sub serve {
    my ($workers, $zone) = @_;

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
    my $locations = join '', map {"location /$_/ { idpay_pass $_; }\n"}
        sort keys %rates;

    $t->config(<<"CONF", workers => $workers);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format worker '\$pid \$uri';
    access_log %%TESTDIR%%/workers.log worker;
    idpay_zone $zone;

$upstreams
    %%UPSTREAM_plaid%%
    %%UPSTREAM_free%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        $locations
        location /plaid/ { idpay_pass plaid/; }
        location /free/  { idpay_pass free/; }
    }
}
CONF
    return;
}


# The times at which the simulator got $n calls that came all at once, in s
# from the first one on.
sub arrivals {
    my ($uri, $n) = @_;

    $sim->clear;
    my @r = map { $t->read_response($_) } park($t, $n, uri => $uri);
    is_deeply [ uniq map { $_->status } @r ], [200], "$uri: all are answered";
    return times_of($sim);
}


sub times_of {
    my ($from, $target) = @_;

    my @times = sort { $a <=> $b } map { $_->{time} }
        grep { !$target || $_->{target} eq $target } @{ $from->requests };
    return map { $_ - $times[0] } @times;
}


# The most that came in any second.
sub in_a_second {
    my @times = @_;

    return max map {
        my $start = $_;
        scalar grep { $_ >= $start && $_ < $start + 1 } @times;
    } @times;
}


# Not before it may be, and not much after.
sub takes {
    my ($took, $seconds, $name) = @_;

    cmp_ok $took, '>=', $seconds * 0.96,    "$name: not sooner";
    cmp_ok $took, '<=', $seconds * 2 + 1.5, "$name: and not late";
    return;
}


sub is_limited {
    my ($r, $provider, $name) = @_;

    my $problem = $r->json;
    is $r->status, 429, "$name: 429";
    is_deeply [ @$problem{qw(type status code provider fault outcome attempts)},
        !!$problem->{retryable} ],
        [ 'urn:idpay:problem:rate_limited', 429, 'rate_limited', $provider,
        'gateway', 'not_applied', 0, !!1 ], "$name: whose it is";
    is $r->header('Retry-After'), $problem->{retry_after},
        "$name: when to come again";
    like $problem->{retry_after}, qr/^[1-9]\d*$/, "$name: in whole seconds";
    return $problem->{retry_after};
}


serve(1, '4m');
$t->run;


$t->measured('a rate' => sub {
    my @times = arrivals('/paced/', 41);
    takes($times[-1], 40 / 40, '41 calls');
    cmp_ok in_a_second(@times), '<=', 43, 'no burst';
    cmp_ok $times[20], '<', $times[-1] * 0.8, 'at even distances';

    @times = arrivals('/minute/', 3);
    takes($times[-1], 2 / 2, '3 calls, two a second');
});


$t->measured('a burst' => sub {
    my @times = arrivals('/burst/', 20);
    takes($times[-1], 10 / 10, '20 calls, 10 of them at once');
    cmp_ok $times[9], '<', ($times[19] - $times[9]) / 2, 'those at once';
});


$t->measured('wait' => sub {
    $sim->clear;
    my $start = time;
    is $t->get('/none/')->status, 200, 'the first call';
    my $after = is_limited($t->get('/none/'), 'none', 'no wait, a second call');
    cmp_ok time - $start, '<', 1, 'is told at once';
    is $after, 3, 'there is room after 2.5 s';

    # the first of these goes, one waits for its turn, the others do not
    my @some = map { $t->read_response($_) } park($t, 4, uri => '/some/');
    is_deeply [ sort map { $_->status } @some ], [ 200, 200, 429, 429 ],
        'one waits, the others would have to wait too long';
    my ($limited) = grep { $_->status == 429 } @some;
    is is_limited($limited, 'some', 'some wait'), 3, 'its turn is in 2 s';

    sleep $start + $after - 1 - time if time < $start + $after - 1;
    is $t->get('/none/')->status, 429, 'a second too early';
    sleep $start + $after - time if time < $start + $after;
    is $t->get('/none/')->status, 200, 'whoever comes then is let through';
    is $t->get('/some/')->status, 200, 'there, too';
    is scalar @{ $sim->requests }, 5, 'the provider saw nothing else';
});


$t->measured('dry_run' => sub {
    my $lines = sub { scalar(() = $t->error_log =~ /"dry" is over its rate/g) };
    my $before = $lines->();
    my @times  = arrivals('/dry/', 10);
    cmp_ok $times[-1], '<', 3, 'nobody waits';
    is $lines->() - $before, 9, 'it is told of those that would have';
});


$t->measured('the limits of Plaid' => sub {
    my %calls = (create => 4, get => 8, list => 6, retry => 4, other => 20);
    my %took;

    for my $name (qw(plaid free)) {
        my $to = $name eq 'plaid' ? $plaid : $free;

        my @sockets = map {
            park($t, $calls{$_}, method => 'POST', body => '{}',
                uri     => "/$name/identity_verification/$_",
                headers => [ [ 'Content-Type', 'application/json' ] ])
        } sort keys %calls;
        is_deeply [ sort +uniq map { $t->read_response($_)->status }
                @sockets ], [ 400, 404 ], "$name: all came to the provider";

        for my $path (keys %calls) {
            $took{$name}{$path}
                = (times_of($to, "/identity_verification/$path"))[-1];
        }
    }
    takes($took{plaid}{create}, 3 / 2, 'create, 120 a minute');
    takes($took{plaid}{get},    7 / 7, 'get, 420');
    takes($took{plaid}{list},   5 / 5, 'list, 300');
    takes($took{plaid}{retry},  3 / 2, 'retry, 120');
    cmp_ok $took{plaid}{other}, '<', 0.9, 'nothing else waits';
    cmp_ok $took{free}{$_}, '<', $took{plaid}{$_} / 2, "idpay_rate off: $_"
        for qw(create get list retry);
});


$t->measured('over a reload' => sub {
    my $limited = sub {
        my $name = shift;
        my $r    = $t->get('/kept/');
        is $r->status, 429, "$name: still no room";
        cmp_ok $r->json->{retry_after}, '<=', 11, "$name: and not later";
        is $t->get('/ruled/a')->status, 429, "$name: nor under a rule";
    };
    serve(1, '4m');
    $t->quit;
    $t->run;
    is $t->get('/kept/')->status,  200, 'a burst' for 1 .. 5;
    is $t->get('/ruled/a')->status, 200, 'of a rule' for 1 .. 2;
    $limited->('before');

    $t->reload;
    $limited->('after');

    serve(2, '8m');
    $t->reload;
    $limited->('another size of the zone');

    # those that wait in the old workers keep their turns
    $sim->clear;
    my @calls = park($t, 15, uri => '/over/');
    $t->reload;
    push @calls, park($t, 15, uri => '/over/');
    my @r = map { $t->read_response($_) } @calls;
    is_deeply [ uniq map { $_->status } @r ], [200], 'all are answered';
    takes((times_of($sim))[-1], 29 / 20, 'and both together keep to the rate');

    $t->quit;
    $t->run;
    is $t->get('/kept/')->status, 200, 'a start forgets';
});


for my $workers (2, 4) {
    $t->measured("$workers workers" => sub {
        $t->quit;
        $t->write('workers.log', '');
        serve($workers, '4m');
        $t->run;

        my @times = arrivals('/paced/', 41);
        takes($times[-1], 40 / 40, 'all together');
        cmp_ok in_a_second(@times), '<=', 43, 'no burst';

        my @pids = uniq map {m{^(\d+) /paced}} split /\n/,
            $t->read('workers.log');
        is scalar @pids, $workers, 'each has some';
    });
}

done_testing;
