# An idpay_pass location is a location like any other: other phases come
# before it, error pages and redirects lead to it, subrequests may use it.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic');
my $key = $t->secret_value('key');

$t->write('static.txt', 'local');
$t->write('ssi.html', '<a><!--#include virtual="/sub/one?x=y" -->'
    . '<!--#include virtual="/sub/two" --><b>');
$t->write('ssi_wait.html', '<a><!--#include virtual="/sub/one" wait="yes" -->'
    . '<!--#include virtual="/sub/two" --><b>');

# The same locations twice; PASS is idpay_pass or proxy_pass.
my $locations = <<'CONF';
        location / { PASS; }

        location /except/ {
            limit_except GET { deny all; }
            PASS;
        }
        location /except_other/ {
            limit_except GET { allow 127.0.0.1; deny all; }
            PASS;
        }
        location /denied/ { deny all; PASS; }
        location /satisfied/ { satisfy any; allow 127.0.0.1; deny all;
            auth_request /check/no; PASS; }
        location /if/ {
            if ($arg_stop) { return 418; }
            PASS;
        }
        location /if_content/ {
            PASS;
            if ($arg_mark) { add_header X-If yes; }
        }

        location /authorized/ {
            auth_request /sub/auth;
            auth_request_set $who $upstream_http_x_who;
            add_header X-Who $who;
            PASS;
        }
        location /mirrored/ {
            mirror /sub/mirror;
            PASS;
        }
        location /mirror_to {
            mirror /sub/mirror;
            alias %%TESTDIR%%/static.txt;
        }
        location /check/ { return 403; }
        location /sub/ { PASS; }
        location /sub/auth {
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_read_timeout 500ms;
            PASS;
        }

        location ~ ^/(ssi|ssi_wait)\.html$ {
            root %%TESTDIR%%;
            ssi on;
        }
        location /ssi_of/ { ssi on; ssi_types *; PASS; }

        location /page/ {
            error_page 404 /page.html;
            error_page 502 503 504 =200 /page.html;
            PASS;
        }
        location /intercepted/ {
            proxy_intercept_errors on;
            error_page 404 500 /page.html;
            PASS;
        }
        location = /page.html { return 200 "page"; }

        location /led/ { error_page 418 = /led_to/x?y; return 418; }
        location /led_keep/ { error_page 418 /led_to/x; return 418; }
        location /led_to/ { internal; PASS; }
        location /tried/ { try_files /none /led_to/y; }
        location /named/ { error_page 418 = @provider; return 418; }
        location @provider { PASS; }
        location /index/ { index none.html; alias %%TESTDIR%%/nothing/;
            error_page 403 404 = /led_to/index; }
CONF

sub locations {
    my ($pass, $settings) = @_;
    return $locations =~ s/PASS;/$pass;\n$settings/gr;
}

my $idpay = locations('idpay_pass gate',        '');
my $plain = locations('proxy_pass https://plain', <<'CONF');
proxy_http_version 1.1;
proxy_set_header Host generic.test;
proxy_set_header Connection "";
proxy_set_header Accept-Encoding "";
proxy_ssl_verify on;
proxy_ssl_name generic.test;
proxy_ssl_server_name on;
proxy_ssl_trusted_certificate %%CA%%;
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_subrequest off;

    upstream gate {
        server          %%SIM_generic%%;
        keepalive       8;
        idpay_provider  generic;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_host      generic.test;
    }

    upstream plain {
        server     %%SIM_generic%%;
        keepalive  8;
    }

    idpay_trusted_certificate %%CA%%;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
$idpay
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
$plain
    }
}
CONF

$t->run;


# Both sides: the same answer and the same requests, in any order. %rule:
# misbehaviour, for each side on its own.
sub both {
    my ($name, $method, $uri, $rule, %opt) = @_;
    my (@seen, @sent, @r);

    for my $port (8080, 8081) {
        $sim->behave->clear;
        $sim->misbehave(times => -1, %$rule) if $rule;

        my $r = $t->http($method, $uri, timeout => 5, %opt, port => $port);
        push @r,    $r;
        push @seen, {
            status   => $r->status,
            headers  => [ grep { $_->[0] ne 'Date' } $r->headers ],
            body     => $r->body,
            complete => $r->complete,
        };

        # a mirror's call may come after the answer
        $sim->wait_requests($opt{calls}) if $opt{calls};
        push @sent, [ sort map {
            my $seen = $_;
            $seen->{raw} =~ s/^X-Key: \Q$key\E\r\n//mr
                =~ /^(.*?\r\n)/ ? "$1 $seen->{body}" : '?';
        } @{ $sim->requests } ];

        my @keys = map { $sim->header($_, 'X-Key') } @{ $sim->requests };
        is_deeply \@keys, [ ($key) x @{ $sent[-1] } ],
            "$name: the credential in each" if $port == 8080;
    }

    is_deeply $seen[0], $seen[1], "$name: the same answer";
    is_deeply $sent[0], $sent[1], "$name: the same requests";
    return wantarray ? ($r[0], $sent[0]) : $r[0];
}


subtest 'access' => sub {
    is both('GET', GET => '/except/')->status, 200, 'limit_except lets GET';
    is both('POST', POST => '/except/', undef, body => 'x')->status, 403,
        'and nothing else';
    is both('POST', POST => '/except_other/', undef, body => 'x')->status,
        200, 'limit_except with other settings';
    is both('deny', POST => '/denied/', undef, body => 'x')->status, 403,
        'deny';
    is both('satisfy', GET => '/satisfied/')->status, 200, 'satisfy any';
    is both('if', GET => '/if/?stop=1')->status, 418, 'if';
    is both('else', GET => '/if/')->status, 200, 'and else';
    is both('if', GET => '/if_content/?mark=1')->header('X-If'), 'yes',
        'if with settings of its own';
    is both('else', GET => '/if_content/')->header('X-If'), undef, 'not else';
};


subtest 'auth_request' => sub {
    my $r = both('yes', GET => '/authorized/x',
        { match => '^/sub/', headers => [ [ 'X-Who', 'me' ] ] });
    is $r->status, 200, 'allowed';
    is $r->header('X-Who'), 'me', 'with what the check said';

    for my $status (401, 403, 404, 500) {
        both("auth $status", GET => '/authorized/x',
            { match => '^/sub/', status => $status, body => 'no' });
    }
    both('big', GET => '/authorized/x',
        { match => '^/sub/', body => 'y' x 200_000 });
    both('POST', POST => '/authorized/x', undef, body => 'abc');

    $sim->behave->misbehave(match => '^/sub/', close => 'no_answer',
        times => -1);
    is $t->get('/authorized/x')->status, 500, 'a check without an answer';
};


subtest 'mirror' => sub {
    my ($r, $sent) = both('mirror', POST => '/mirrored/x', undef,
        body => 'abc', calls => 2);
    is $r->json->{target}, '/mirrored/x', 'the answer is of the call';
    is scalar @$sent, 2, 'and there was another';

    ($r, $sent) = both('big', POST => '/mirrored/x', undef,
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
        my $r = both($page, GET => $page);
        like $r->body, qr{^<a>\{.*/sub.*one.*\}\{.*/sub.*two.*\}<b>$},
            "$page: both are in it";

        $r = both("$page, big", GET => $page,
            { match => 'one', body => 'x' x 200_000 });
        like $r->body, qr/^<a>x+\{.*\}<b>$/, "$page: in order";
        cmp_ok $r->length, '>', 200_000, "$page: all of it";
        both("$page, slow", GET => $page,
            { match => 'one', delay_ms => 100, chunked => 1, body => '1' });
        both("$page, 404", GET => $page,
            { match => 'one', status => 404, body => '1' });
        both("$page, empty", GET => $page, { match => 'one', body => '' });
        both("$page, 204", GET => $page, { match => 'one', status => 204 });
    }

    $sim->behave->misbehave(match => 'one', close => 'no_answer', times => -1);
    my $r = $t->get('/ssi.html', timeout => 5);
    ok $r->complete, 'one without an answer: complete';
    like $r->body, qr/^<a>.*provider_error.*two.*<b>$/s,
        'the problem stands in its place';

    $r = both('in an answer', GET => '/ssi_of/', { match => '^/ssi_of/',
        body => '[<!--#include virtual="/sub/in" -->]' });
    like $r->body, qr/^\[\{.*\}\]$/, 'SSI in the answer itself';
};


subtest 'error pages' => sub {
    my %not_found = (status => 404, body => 'theirs');

    is both('404', GET => '/page/', {%not_found})->body, 'theirs',
        'a provider\'s error is no error of nginx';

    # the module reads errors itself, so they are never intercepted
    $sim->behave->misbehave(%not_found);
    is $t->get('/intercepted/')->body, 'theirs', 'nor with interception';

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
