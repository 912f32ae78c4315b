#!/usr/bin/env perl

# Calls that wait for their turn: what is learned meanwhile counts for them too,
# and a call that is refused leaves no place behind.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t     = Test::Idpay->new;
my $paced = $t->sim('generic', name => 'paced',
    limits => 'idpay_retry base=1ms jitter=none; idpay_breaker off;');
my $ruled = $t->sim('generic', name => 'ruled',
    limits => 'idpay_retry off; idpay_adaptive off;'
        . 'idpay_rate 1r/s wait=100ms;'
        . 'idpay_rate 30r/m burst=2 wait=20s path=/ruled/rule;');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format wait '$request_uri $idpay_wait';
    access_log %%TESTDIR%%/wait.log wait;
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_paced%%
    %%UPSTREAM_ruled%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass paced; }
        location /ruled/ { idpay_pass ruled; }
    }
}
CONF
$t->run;

# One call of a quota is left for 20 seconds, and there are two callers: the
# second attempt of the one waits for the reset. Then another answer tells of
# a new quota.
$t->measured('a quota' => sub {
    $t->write('wait.log', '');
    $paced->misbehave(match => '^/slow', delay_ms => 1500,
        headers => [ [ 'RateLimit', '"q";r=100;t=10' ] ]);
    $paced->misbehave(match => '^/again', times => 2, status => 503,
        headers => [ [ 'RateLimit', '"q";r=1;t=20' ] ]);

    my ($slow) = park($t, 1, uri => '/slow');
    $paced->wait_requests(1);
    my ($again) = park($t, 1, uri => '/again');

    is $t->read_response($slow, 'GET')->status, 200, 'the news';
    is $t->get('/later')->status, 200,
        'who comes now is not behind the old quota';
    is $t->read_response($again, 'GET')->status, 200, 'nor is who has waited';

    my $waited;
    wait_until(20, sub {
        ($waited) = $t->read('wait.log') =~ m{^/again ([\d.]+)}m;
    });
    cmp_ok $waited, '<', 10, 'though the reset was 20 seconds off';
});

# The general limit refuses what its rule has let through: whoever comes next
# finds all of the rule's burst.
$t->measured('a general limit and a rule' => sub {
    $t->write('wait.log', '');
    is $t->get('/ruled/other')->status, 200, 'the general limit is used up';
    is $t->get('/ruled/rule')->status, 429, 'so it refuses' for 1 .. 3;

    select undef, undef, undef, 1.2;
    is $t->get('/ruled/rule')->status, 200, 'a second later it does not';
    my @waited;
    wait_until(20, sub {
        4 == (@waited = $t->read('wait.log') =~ m{^/ruled/rule ([\d.]+)\n}mg);
    });
    cmp_ok $waited[-1], '<', 0.3, 'and the rule makes nobody wait';
});

done_testing;
