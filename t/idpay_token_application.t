# The token of the application: one request gets it, all calls use it, and it
# is renewed before its time and when the provider refuses it.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Gopay qw(token_requests forget_requests prefill $prefill);
use Test::Idpay::Load qw(park);
use Test::More;

use constant CALLERS => 200;

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay');

$t->config(<<'CONF', workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format credential '$status $idpay_credential $idpay_attempts';
    access_log %%TESTDIR%%/credential.log credential;

    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        location / { idpay_pass gopay; }
        location /passed/ { idpay_errors off; idpay_pass gopay/; }
    }
}
CONF

$t->run;

my @call = (
    method  => 'POST',
    uri     => $prefill,
    body    => '{"firstName":"A"}',
    headers => [ [ 'Content-Type' => 'application/json' ] ],
);


# The statuses of calls that were begun, {status => n}.
sub statuses {
    my %n;
    $n{ $t->read_response($_)->status }++ for @_;
    return \%n;
}


# What the log says of the last $n calls.
sub logged {
    my $n = shift;
    return [ (split /\n/, $t->read('credential.log'))[ -$n .. -1 ] ];
}


subtest 'no token yet' => sub {
    $sim->misbehave(match => '/login/app$', delay_ms => 300, acted => 1);
    my @calls = park($t, CALLERS, @call);

    is_deeply statuses(@calls), { 200 => CALLERS }, 'all pass';
    is_deeply token_requests($sim), { application => { ok => 1 } },
        'one token request';

    is prefill($t)->status, 200, 'so does the next';
    is_deeply token_requests($sim), { application => { ok => 1 } },
        'with the same token';
    is_deeply logged(1), ['200 application/primary/1 1'], 'as the log says';
};


subtest 'a token that the provider refuses' => sub {
    forget_requests($sim);
    $sim->act(do => 'expire', kind => 'application');

    my @calls = park($t, CALLERS, @call);
    is_deeply statuses(@calls), { 200 => CALLERS }, 'all pass';
    is_deeply token_requests($sim), { application => { ok => 1 } },
        'one token request';

    my %log;
    $log{$_}++ for @{ logged(CALLERS) };
    is_deeply [ grep { !/^200 application\/primary\/2 [12]$/ } keys %log ], [],
        'each call was repeated once, with the new one';
};


# It is not the token's fault then, and no reason for one request each.
subtest 'a new token that the provider refuses as well' => sub {
    forget_requests($sim);
    $sim->misbehave(match => 'prefill', status => 401, times => -1);

    my $r = prefill($t);
    is $r->status, 502, 'is a problem';
    is_deeply [ @{ $r->json }{qw(code fault attempts provider_status)} ],
        [ 'credential_rejected', 'credential', 2, 401 ], 'of the credential';
    is_deeply token_requests($sim), { application => { ok => 1 } },
        'one token request';

    is prefill($t)->status, 502, 'again' for 1 .. 5;
    is_deeply token_requests($sim), { application => { ok => 1 } },
        'no other token request';

    is $t->http(POST => "/passed$prefill", body => '{}')->status, 401,
        'it passes where errors do';
    $sim->behave;
    is prefill($t)->status, 200, 'then it is good again';
};


subtest 'an echo of the token' => sub {
    for my $status (400, 403, 404, 409, 500) {
        my @issued = @{ $sim->act(do => "issued") };
        my $token  = $issued[-1]{token};
        ok $token, 'there is one';

        $sim->misbehave(
            match => 'prefill',
            times => 2,
            status => $status,
            headers => [ [ 'X-Token' => $token ] ],
            json => {
                error   => 'oops',
                message => "the token $token is not wanted"
            }
        ) for 1 .. 2;

        for my $uri ($prefill, "/passed$prefill") {
            my $r = $t->post($uri, '{}');
            unlike $r->raw . $r->body, qr/\Q$token\E/, "$status at $uri";
        }
        $sim->behave;
    }
};

done_testing;
