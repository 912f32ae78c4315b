#!/usr/bin/env perl

# A "post_action" takes the request of a caller that has hung up elsewhere. The
# call that it was has ended: nothing more is sent to the provider, least of all
# what the other location is about.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t    = Test::Idpay->new;
my $sim  = $t->sim('generic', limits => 'idpay_retry base=1s jitter=none;');
my $slow = $t->sim('generic', name => 'limited',
    limits => 'idpay_rate 1r/s wait=3s;');
my $after = $t->sim('generic', name => 'after', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_generic%%
    %%UPSTREAM_limited%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location / { idpay_pass generic; post_action /after; }
        location /limited/ { idpay_pass limited; post_action /after; }
        location /after { internal; proxy_pass http://%%SIM_after%%; }
    }
}
CONF
$t->run;

my %calls = (
    'in the delay before another attempt' => [ $sim, '/delay', sub {
        $sim->misbehave(status => 429, retry_after => 1);
    } ],
    'in an attempt' => [ $sim, '/attempt', sub {
        $sim->misbehave(delay_ms => 3000);
    } ],
    'before its turn' => [ $slow, '/limited/turn', sub {
        $t->post('/limited/first', 'first');
        $slow->clear;
        $after->wait_requests(1);
        $after->clear;
    } ],
);

for my $name (sort keys %calls) {
    $t->measured($name => sub {
        my ($provider, $uri, $prepare) = @{ $calls{$name} };

        $sim->behave->clear;
        $after->behave->clear->misbehave(times => -1, delay_ms => 1500);
        $prepare->();

        my ($worker) = $t->worker_pids;
        my ($caller) = park($t, 1, method => 'POST', uri => $uri, body => 'pay',
            headers => [ [ Prefer => 'wait=2' ] ]);

        # parked, or with the provider
        if ($provider == $sim) {
            $sim->wait_requests(1);
        } else {
            $t->get('/seen');
        }
        close $caller;

        ok wait_until(20, sub { @{ $after->requests } >= 1 }),
            'the post_action is run';

        # longer than any timer of the call
        ok wait_until(20, sub { $after->open_connections == 0 }),
            'and ends';
        is_deeply [ grep {m{/after}} map { $_->{target} }
                @{ $sim->requests }, @{ $slow->requests } ], [],
            'it is no call to a provider';
        is scalar(grep { $_->{target} eq $uri } @{ $provider->requests }),
            ($provider == $sim ? 1 : 0), 'no further attempt';
        is_deeply [ $t->worker_pids ], [$worker], 'the worker lives';
    });
}

done_testing;
