# Which token a call gets is told by its path: a person's own, or the
# application's, and never another person's, however the path is written.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Consent qw(give watch);
use Test::Idpay::Gopay   qw(profile prefill status_uri);
use Test::Idpay::Load    qw(park);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    add_header X-Credential "$idpay_credential $idpay_attempts" always;

    idpay_trusted_certificate %%CA%%;
    merge_slashes off;

    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /           { idpay_pass gopay; }
        location /api/       { idpay_pass gopay/v1/client/; }
        location = /consent  { idpay_consent_start gopay; }
        location = /callback { idpay_consent_callback gopay; }
    }
}
CONF

$t->run;


sub document {
    my $profile = shift;
    return $t->get("/v1/client/client-profile/$profile/identification-pdf");
}


give($t, $sim, $_) for 581, 582;


subtest 'his own' => sub {
    for my $profile (581, 582) {
        my $r = profile($t, $profile);
        is $r->status, 200, "$profile passes";
        is $r->json->{clientProfileId}, $profile, 'with what is his';
        is $r->header('X-Credential'), 'client/primary/1 1', 'and his token';
    }
    is $t->get('/api/client-profile/582/identification-status')->json
        ->{clientProfileId}, 582, 'by another location';

    my $r = document(581);
    is $r->header('Content-Type'), 'application/pdf', 'a document';
    is $r->header('X-Credential'), 'client/primary/1 1', 'with his token, too';

    $r = prefill($t);
    is $r->status, 200, 'a call of the application';
    is $r->header('X-Credential'), 'application/primary/1 1',
        "with the application's";
};


subtest 'nobody' => sub {
    for my $profile (583, '9' x 19) {
        my $r = profile($t, $profile);
        is $r->status, 403, "$profile has not given consent";
        is_deeply [ @{ $r->json }{qw(code fault attempts outcome consent_url)} ],
            [ 'consent_required', 'caller', 0, 'not_applied',
                'https://auth.gopay.com/consent' ], 'as the problem says';
        is scalar grep({ $_->{target} =~ /$profile/ } @{ $sim->requests }), 0,
            'and nothing is sent';
    }

    my $r = document(583);
    is $r->header('X-Credential'), 'application/primary/1 1',
        "a document is asked for with the application's token";
    is_deeply [ $r->status, @{ $r->json }{qw(code provider_status)} ],
        [ 403, 'consent_required', 403 ], 'and it is no fault of that';
};


subtest 'ended at the provider' => sub {
    $sim->act(do => 'revoke_family', profile => 582);
    my $r = profile($t, 582);
    is $r->status, 403, 'is known when the token is refused';
    is $r->json->{code}, 'consent_required', 'and cannot be renewed';
    is profile($t, 581)->status, 200, 'others do not mind';

    give($t, $sim, 582);
    is profile($t, 582)->status, 200, 'a new consent is good';
};


# A path that could be read in two ways is not sent at all.
subtest 'disguised' => sub {
    $sim->clear;
    my $at = '/v1/client/client-profile';

    for my $path (
        "$at/58%31/identification-status",
        "$at/581/../582/identification-status",
        "$at/581/%2e%2e/582/identification-status",
        "$at/581/./identification-status",
        "$at//581/identification-status",
        "/v1/client//client-profile/581/identification-status",
        "$at/581%2fidentification-status",
        "$at/581;582/identification-status",
        "$at/581%00/identification-status",
        "$at/0581/identification-status",
        "$at/+581/identification-status",
        "$at/-581/identification-status",
        "$at/581.0/identification-status",
        "$at/5_81/identification-status",
        "$at/ /identification-status",
        "$at/%20581/identification-status",
        "$at//identification-status",
        "$at/" . '1' x 20 . '/identification-status',
        "$at\\581\\identification-status",
        '/v1/client/%63lient-profile/581/identification-status',
        '/v1/auth/login/app', '/v1/auth/token', '/v1/auth/revoke',
        '/v1/client/../auth/token', '/v1/client/%2e%2e/auth/token', '/v2/client/x',
        )
    {
        my $raw = "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        my $r   = $t->http(GET => '/', raw => $raw);

        cmp_ok $r->status, '>=', 400, "$path is refused";
        cmp_ok $r->status, '<',  404, 'as the caller\'s fault';
    }

    is_deeply [ grep { $_->{target} !~ m{^/v1/auth/} } @{ $sim->requests } ],
        [], 'none of them comes to the provider';
};


subtest 'with other arguments and headers' => sub {
    for my $more ('?clientProfileId=582', '?client-profile/582', '?a=/../582')
    {
        my $r = $t->get(status_uri(581) . $more, headers => [
            [ 'X-Original-URL' => status_uri(582) ],
            [ Authorization    => 'Bearer own' ],
        ]);
        is $r->json->{clientProfileId}, 581, "$more: what is his";
    }
};


subtest 'many at once' => sub {
    give($t, $sim, $_) for 600 .. 629;
    $sim->act(do => 'expire', kind => 'client');

    my @calls = map {
        my $n = $_;
        map { [ $n, park($t, 1, uri => status_uri($n)) ] } 1 .. 4
    } 600 .. 629;

    my @wrong = grep {
        my $r = $t->read_response($_->[1], 'GET');
        $r->status != 200 || $r->json->{clientProfileId} != $_->[0]
    } @calls;
    is scalar @wrong, 0, 'each gets his own';
};

my $report = $sim->act(do => 'report');
is $report->{refused}{other_profile} // 0, 0, 'no token of another was sent';
is $report->{refused}{wrong_kind} // 0, 0, 'nor one of another kind';
is_deeply [ grep { $_->{result} eq 'spent' } @{ $report->{requests} } ], [],
    'no refresh token was used twice';

watch($t, $sim);
done_testing;
