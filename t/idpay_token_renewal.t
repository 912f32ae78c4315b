# A token is renewed while it is still good: by one request, for which no caller
# waits, and without which none fails.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Gopay
    qw(forget_requests prefill $prefill token_requests);
use Test::Idpay::Load qw(park);
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'once is enough' if defined $ENV{IDPAY_MODULE};

# s: the shortest life that a token is given, when it is renewed at the latest,
# and when it is no longer used.
use constant { CALLERS => 1000, LIFE => 60, RENEW => 51, USABLE => 55 };

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay', tls => 0);

$t->config(<<'CONF', workers => 4);
%%GLOBALS%%
events { worker_connections 4096; }
http {
    %%HTTP%%
    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport backlog=2048;
        location / { idpay_pass gopay; }
    }
}
CONF

$t->run;

$sim->act(life => LIFE);

my $start = time;
is prefill($t)->status, 200, 'there is a token';
forget_requests($sim);

$sim->misbehave(match => '/login/app$', hold => 1, times => -1, status => 500);
sleep $start + RENEW + 1 - time;

my @calls = park($t, CALLERS, method => 'POST', uri => $prefill, body => '{}',
    headers => [ [ 'Content-Type' => 'application/json' ] ]);
my %status;
$status{ $t->read_response($_, 'POST', timeout => 30)->status }++ for @calls;

SKIP: {
    skip 'too late to tell', 2 if time - $start > USABLE - 1;
    is_deeply \%status, { 200 => CALLERS }, 'no caller waits for the next one';
    is $sim->act(do => 'report')->{under_way}{all} // 0, 1,
        'which one request is under way for';
}

$sim->release;
$sim->behave;
is prefill($t)->status, 200, 'and nobody notices that it has failed';

done_testing;
