# An idpay_pass location is a location like any other: other phases come
# before it, error pages and redirects lead to it, subrequests may use it.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Pass qw(compare servers);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');

$t->write('static.txt', 'local');
$t->write('ssi.html', '<a><!--#include virtual="/sub/one?x=y" -->'
    . '<!--#include virtual="/sub/two" --><b>');
$t->write('ssi_problem.html', '<a><!--#include virtual="/problem/one" -->'
    . '<!--#include virtual="/problem/two" --><b>');
$t->write('ssi_problem_wait.html',
    '<a><!--#include virtual="/problem/one" wait="yes" -->'
    . '<!--#include virtual="/problem/two" --><b>');
$t->write('ssi_wait.html', '<a><!--#include virtual="/sub/one" wait="yes" -->'
    . '<!--#include virtual="/sub/two" --><b>');

# At 8080, and with proxy_pass at 8081.
my $servers = servers(<<'CONF');
        location / { idpay_pass gate; }

        location /except/ {
            limit_except GET { deny all; }
            idpay_pass gate;
        }
        location /except_other/ {
            limit_except GET { allow 127.0.0.1; deny all; }
            idpay_pass gate;
        }
        location /denied/ { deny all; idpay_pass gate; }
        location /satisfied/ { satisfy any; allow 127.0.0.1; deny all;
            auth_request /check/no; idpay_pass gate; }
        location /if/ {
            if ($arg_stop) { return 418; }
            idpay_pass gate;
        }
        location /if_content/ {
            idpay_pass gate;
            if ($arg_mark) { add_header X-If yes; }
        }

        location /authorized_problem/ {
            auth_request /problem/auth;
            idpay_pass gate;
        }
        location /problem/ { idpay_errors on; idpay_pass gate; }
        location /authorized/ {
            auth_request /sub/auth;
            auth_request_set $who $upstream_http_x_who;
            add_header X-Who $who;
            idpay_pass gate;
        }
        location /mirrored/ {
            mirror /sub/mirror;
            idpay_pass gate;
        }
        location /mirror_to {
            mirror /sub/mirror;
            alias %%TESTDIR%%/static.txt;
        }
        location /check/ { return 403; }
        location /sub/ { idpay_pass gate; }
        location /sub/auth {
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_read_timeout 500ms;
            idpay_pass gate;
        }

        location ~ ^/ssi(_problem)?(_wait)?\.html$ {
            root %%TESTDIR%%;
            ssi on;
        }
        location /ssi_of/ { ssi on; ssi_types *; idpay_pass gate; }

        location /page/ {
            error_page 404 /page.html;
            error_page 502 503 504 =200 /page.html;
            idpay_pass gate;
        }
        location /intercepted/ {
            proxy_intercept_errors on;
            error_page 404 500 /page.html;
            idpay_pass gate;
        }
        location /page_problem/ {
            error_page 404 502 /page.html;
            idpay_errors on;
            idpay_pass gate;
        }
        location /intercepted_problem/ {
            proxy_intercept_errors on;
            error_page 404 500 502 /page.html;
            idpay_errors on;
            idpay_pass gate;
        }
        location = /page.html { return 200 "page"; }

        location /led/ { error_page 418 = /led_to/x?y; return 418; }
        location /led_keep/ { error_page 418 /led_to/x; return 418; }
        location /led_to/ { internal; idpay_pass gate; }
        location /tried/ { try_files /none /led_to/y; }
        location /named/ { error_page 418 = @provider; return 418; }
        location @provider { idpay_pass gate; }
        location /index/ { index none.html; alias %%TESTDIR%%/nothing/;
            error_page 403 404 = /led_to/index; }
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_subrequest off;

    %%UPSTREAM_gate%%
    upstream plain_gate { server %%SIM_gate%%; keepalive 8; }

    idpay_trusted_certificate %%CA%%;
    idpay_errors off;

$servers
}
CONF

$t->run;


sub both {
    my ($name, $method, $uri, $rule, %opt) = @_;
    return compare($t, $sim, $name, $method, $uri, $rule, %opt);
}


subtest 'access' => sub {
    is both('GET', GET => '/except/')->status, 200, 'limit_except lets GET';
    is both('POST', POST => '/except/', undef, body => 'x', calls => 0)
        ->status, 403, 'and nothing else';
    is both('POST', POST => '/except_other/', undef, body => 'x')->status,
        200, 'limit_except with other settings';
    is both('deny', POST => '/denied/', undef, body => 'x', calls => 0)
        ->status, 403, 'deny';
    is both('satisfy', GET => '/satisfied/')->status, 200, 'satisfy any';
    is both('if', GET => '/if/?stop=1', undef, calls => 0)->status, 418, 'if';
    is both('else', GET => '/if/')->status, 200, 'and else';
    is both('if', GET => '/if_content/?mark=1')->header('X-If'), 'yes',
        'if with settings of its own';
    is both('else', GET => '/if_content/')->header('X-If'), undef, 'not else';
};


subtest 'auth_request' => sub {
    my $r = both('yes', GET => '/authorized/x',
        { match => '^/sub/', headers => [ [ 'X-Who', 'me' ] ] }, calls => 2);
    is $r->status, 200, 'allowed';
    is $r->header('X-Who'), 'me', 'with what the check said';

    for my $status (401, 403, 404, 500) {
        both("auth $status", GET => '/authorized/x',
            { match => '^/sub/', status => $status, body => 'no' });
    }

    # as a problem: 401 is the gateway's failure, and nobody's who may come in
    for ([ 401, 500 ], [ 403, 403 ], [ 404, 500 ], [ 500, 500 ]) {
        my ($theirs, $ours) = @$_;
        $sim->behave->clear->misbehave(match => '^/problem/',
            status => $theirs, body => 'no');
        is $t->get('/authorized_problem/x')->status, $ours,
            "auth $theirs as a problem";
        is scalar @{ $sim->requests }, 1, 'only the check is made';
    }
    $sim->behave;
    is $t->get('/authorized_problem/x')->status, 200, 'or both';

    both('big', GET => '/authorized/x',
        { match => '^/sub/', body => 'y' x 200_000 }, calls => 2);
    both('POST', POST => '/authorized/x', undef, body => 'abc', calls => 2);

    $sim->behave->misbehave(match => '^/sub/', close => 'no_answer',
        times => -1);
    is $t->get('/authorized/x')->status, 500, 'a check without an answer';
};


subtest 'mirror' => sub {
    my ($r, @sent) = both('mirror', POST => '/mirrored/x', undef,
        body => 'abc', calls => 2);
    is $r->json->{target}, '/mirrored/x', 'the answer is of the call';
    is scalar @sent, 2, 'and there was another';

    both('big', POST => '/mirrored/x', undef,
        body => 'abc' x 20_000, calls => 2);
    both('404', GET => '/mirrored/x',
        { match => '^/sub/', status => 404, body => 'x' }, calls => 2);
    is both('local', GET => '/mirror_to', undef, calls => 1)->body, 'local',
        'beside an answer of nginx';

    $sim->behave->misbehave(match => '^/sub/', close => 'no_answer',
        times => -1);
    is $t->get('/mirrored/x')->status, 200, 'a mirror without an answer';
};


subtest 'SSI' => sub {
    for my $page ('/ssi.html', '/ssi_wait.html') {
        my $r = both($page, GET => $page, undef, calls => 2);
        like $r->body, qr{^<a>\{.*/sub.*one.*\}\{.*/sub.*two.*\}<b>$},
            "$page: both are in it";

        $r = both("$page, big", GET => $page,
            { match => 'one', body => 'x' x 200_000 }, calls => 2);
        like $r->body, qr/^<a>x+\{.*\}<b>$/, "$page: in order";
        cmp_ok $r->length, '>', 200_000, "$page: all of it";
        both("$page, slow", GET => $page,
            { match => 'one', delay_ms => 100, chunked => 1, body => '1' },
            calls => 2);
        both("$page, 404", GET => $page,
            { match => 'one', status => 404, body => '1' }, calls => 2);
        both("$page, empty", GET => $page, { match => 'one', body => '' },
            calls => 2);
        both("$page, 204", GET => $page, { match => 'one', status => 204 },
            calls => 2);
    }

    $sim->behave->misbehave(match => 'one', close => 'no_answer', times => -1);
    my $r = $t->get('/ssi.html');
    ok $r->complete, 'one without an answer: complete';
    like $r->body, qr/^<a>.*provider_error.*two.*<b>$/s,
        'the problem stands in its place';

    for my $page ('/ssi_problem.html', '/ssi_problem_wait.html') {
        for my $body ('theirs', 'theirs' x 20_000) {
            $sim->behave->clear->misbehave(match => 'one', status => 404,
                body => $body, times => 1);
            $r = $t->get($page);
            is $r->status, 200, "$page, one with an error: the page";
            ok $r->complete, 'complete';
            like $r->body, qr/^<a>\{[^}]*"not_found"[^}]*\}\r\n\{.*two.*<b>$/s,
                'the problem stands in its place';
            unlike $r->body, qr/theirs/, 'and nothing of theirs';
            is scalar @{ $sim->requests }, 2, 'two calls';
        }
    }

    $r = both('in an answer', GET => '/ssi_of/', { match => '^/ssi_of/',
        body => '[<!--#include virtual="/sub/in" -->]' }, calls => 2);
    like $r->body, qr/^\[\{.*\}\]$/, 'SSI in the answer itself';
};


subtest 'error pages' => sub {
    my %not_found = (status => 404, body => 'theirs');

    is both('404', GET => '/page/', {%not_found})->body, 'theirs',
        'a provider\'s error is no error of nginx';

    # the module reads errors itself, so they are never intercepted
    $sim->behave->misbehave(%not_found);
    is $t->get('/intercepted/')->body, 'theirs', 'nor with interception';

    for my $uri ('/page_problem/', '/intercepted_problem/') {
        for ([ 404, 404, 'not_found' ], [ 500, 502, 'provider_error' ]) {
            my ($theirs, $status, $code) = @$_;
            $sim->behave->misbehave(status => $theirs, body => 'theirs');
            my $r = $t->get($uri);
            is_deeply [ $r->status, @{ $r->json }{qw(code provider_status)} ],
                [ $status, $code, $theirs ], "$uri: $theirs, a problem";
        }
    }

    $sim->behave->misbehave(close => 'no_answer', times => -1);
    is $t->get('/page/')->json->{code}, 'provider_error',
        'nor is a problem, which is an answer';
};


subtest 'internal redirects' => sub {
    for my $uri ('/led/a', '/led_keep/a', '/tried/a', '/named/a?b',
        '/index/')
    {
        both("GET $uri",  GET  => $uri);
        both("POST $uri", POST => $uri, undef, body => 'abc');
        both("HEAD $uri", HEAD => $uri);
    }
    is $t->get('/led/a')->json->{target}, '/led_to/x?y', 'where it leads';
    is $t->get('/led_keep/a')->status, 418, 'the status of the error stays';
    is $t->get('/led_to/x')->status, 404, 'internal is internal';
};

done_testing;
