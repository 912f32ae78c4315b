#!/usr/bin/env perl

# What a provider may not send back: cookies, challenges, and the gateway's
# secrets where an error echoes them, in whatever pieces it comes. Good
# answers pass as they are.

use strict;
use warnings;

use Compress::Zlib qw(memGzip);
use Idpay::Filler  qw(filler);
use MIME::Base64   qw(encode_base64);
use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', tls => 0);

my ($user, $password) = ('the user+name', 's3cret/"pass" word+/\\é');
$t->secret('user',     value => $user);
$t->secret('password', value => $password);
$t->secret('next',     value => 'next-secret');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    upstream generic {
        server          %%SIM_generic%%;
        keepalive       4;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      basic;
        idpay_secret    user     file:%%SECRET_user%%;
        idpay_secret    password file:%%SECRET_password%% file:%%SECRET_next%%;
        %%UNLIMITED%%
    }
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        idpay_errors off;
        location / { idpay_pass generic; }
        location /problem/ { idpay_errors on; idpay_pass generic; }
        location /unbuffered/ { proxy_buffering off; idpay_pass generic; }
        location /small/ {
            proxy_buffer_size 1k;
            proxy_buffers 4 1k;
            proxy_busy_buffers_size 2k;
            idpay_pass generic;
        }
        location /passing/ {
            proxy_pass_header Set-Cookie;
            proxy_pass_header WWW-Authenticate;
            proxy_pass_header Server;
            proxy_hide_header X-Hidden;
            idpay_pass generic;
        }
    }
}
CONF
$t->run;

my @places = qw(/ /unbuffered/ /small/);


sub percent {
    my ($value, $case) = @_;
    return $value
        =~ s/([^A-Za-z0-9._~-])/sprintf $case ? '%%%02X' : '%%%02x', ord $1/ger;
}

my $pair  = encode_base64("$user:$password", '');
my %forms = (
    'a secret'             => $password,
    'the other'            => $user,
    'the next one'         => 'next-secret',
    'percent-encoded'      => percent($password, 1),
    'in lower case'        => percent($password, 0),
    'as a JSON string'     => $password =~ s/(["\\])/\\$1/gr,
    'as another'           => $password =~ s{(["\\/])}{\\$1}gr,
    'the pair'             => $pair,
    'the pair, not padded' => $pair =~ s/=+$//r,
    'the next pair'        => encode_base64("$user:next-secret", ''),
    'the pair in a URL'    => percent($pair, 1),
);


# What comes through of an answer.
sub answer {
    my ($uri, %rule) = @_;

    $sim->behave->misbehave(%rule);
    return $t->get($uri, timeout => 20);
}


sub stars { return '*' x length shift }


for my $name (sort keys %forms) {
    my $form = $forms{$name};
    my $mask = stars($form);

    for my $place (@places) {
        my $r = answer($place, status => 400, body => "<$form> and $form");
        is $r->body, "<$mask> and $mask", "$name, $place";
        is $r->header('Content-Length'), length $r->body, 'and the length';
        is answer($place, status => 400, body => $form)->body, $mask, 'alone';
    }
}

for my $status (400 .. 418, 422, 429, 451, 499, 500 .. 511, 599) {
    my $r = answer('/', status => $status, body => "x $password y");
    is $r->status, $status, "status $status";
    is $r->body, 'x ' . stars($password) . ' y', 'without the secret';
}


# In pieces: what looks like a secret until the next piece comes.
my $text = 'a' . substr($password, 0, 5) . "$password$password" . $pair
    . substr($pair, 0, 8) . '-' . substr $password, 0, -1;
my $safe = $text =~ s/\Q$password\E|\Q$pair\E/stars($&)/ger;

for my $place (@places) {
    is answer($place, status => 500, body => $text, chunked => 1)->body, $safe,
        "chunked, $place";
    is answer($place, status => 500, body => $text, trickle_ms => 1)->body,
        $safe, 'byte by byte';

    for my $size (1, 2, 7) {
        my $chunks = join '',
            map { sprintf "%x\r\n%s\r\n", length, $_ } $text =~ /.{1,$size}/sg;
        is answer($place, raw => "HTTP/1.1 400 Bad\r\n"
                . "Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n")->body,
            $safe, "in chunks of $size";
    }

    is answer($place, raw => "HTTP/1.1 500 Bad\r\n\r\n$text$password")->body,
        $safe . stars($password), 'up to the end of the connection';

    # Around every buffer's end.
    my $big = filler(0, 100_000);
    substr $big, 1024 * $_ - 15 + $_ % 20, length $password, $password
        for 1 .. 90;
    my $clean = $big =~ s/\Q$password\E/stars($&)/ger;
    my $r     = answer($place, status => 502, body => $big);
    ok $r->body eq $clean, 'in a big one';
    is $r->header('Content-Length'), 100_000, 'and its length';
    ok answer($place, status => 502, body => $big, chunked => 1)->body eq $clean,
        'in a big chunked one';
}


my $r = answer('/', raw => "HTTP/1.1 400 No $password here\r\n"
        . "Content-Type: text/plain; a=$pair\r\nX-Echo: Basic $pair\r\n"
        . "X-Other: <$password>\r\nETag: \"$password\"\r\n"
        . "Link: <$user>\r\nX-Kept: kept\r\nContent-Length: 2\r\n\r\nno",
    keep => 1);
is $r->status, 400, 'an echo in the head';
is $r->header('X-Echo'), 'Basic ' . stars($pair), 'the pair in a header';
is $r->header('X-Other'), '<' . stars($password) . '>', 'a secret in a header';
is $r->header('X-Kept'), 'kept', 'the rest is kept';
is $r->body, 'no', 'and the body';
unlike $r->raw, qr/\Q$password\E|\Q$pair\E|\Q$user\E/, 'none anywhere';

$sim->behave->misbehave(status => 404, headers => [ [ 'X-E', $password ] ]);
$r = $t->http(HEAD => '/');
is $r->header('X-E'), stars($password), 'of HEAD too';
is $t->get('/', socket => $r->socket)->status, 200, 'the connection goes on';


my $body = "$user $password $pair";
$r = answer('/', status => 200, body => $body, headers => [ [ 'X-E', $pair ] ]);
is $r->body, $body, 'a good answer is not touched';
is $r->header('X-E'), $pair, 'nor its header';

$r = answer('/', status => 302, body => $body,
    headers => [ [ Location => "https://generic.test/?key=$password&a" ] ]);
is $r->header('Location'), 'https://generic.test/?key=' . stars($password) . '&a',
    'a redirect has not the arguments of the call';
unlike $r->body, qr/\Q$password\E/, 'nor its body';


$r = answer('/', status => 304, headers => [ [ 'Content-Encoding', 'gzip' ] ]);
is $r->status, 304, 'an answer without a body';
is $r->header('Content-Encoding'), 'gzip', 'has none to withhold';


my $zipped = memGzip("$password $text");
for my $place (@places) {
    for my $chunked (0, 1) {
        $r = answer($place, status => 400, body => $zipped, chunked => $chunked,
            headers => [ [ 'Content-Encoding', 'gzip' ] ]);
        is $r->status, 400, "an encoded error, $place";
        is $r->body, '', 'its body is withheld';
        is $r->header('Content-Encoding'), undef, 'it is not called encoded';
        is $r->header('Content-Length'), 0, 'and is empty';
        ok $r->complete, 'and whole';
        is $t->get('/', socket => $r->socket)->status, 200, 'another follows';
    }
}
$t->expect_log(qr/\[warn\].*idpay: the encoded body .* of "generic"/);

$r = answer('/', status => 200, body => $zipped,
    headers => [ [ 'Content-Encoding', 'gzip' ] ]);
is $r->body, $zipped, 'an encoded good answer passes';


for my $chunked (0, 1) {
    for my $what (
        [ body => $text ], [ body => "$text\0" x 500 ],
        [ body => $zipped, headers => [ [ 'Content-Encoding', 'gzip' ] ] ],
        [ body => qq("$pair"), headers =>
            [ [ 'X-E', $pair ], [ 'Content-Type', "a/b; c=$password" ] ] ],
        )
    {
        $r = answer('/problem/', status => 400, @$what, chunked => $chunked);
        is $r->status, 400, 'an echo, and a problem is made of it';
        is $r->json->{code}, 'invalid_request', 'of its status';
        is $r->header('Content-Encoding'), undef, 'in no encoding';
        is $r->header('X-E'), undef, 'without its headers';
        unlike $r->raw, qr/\Q$password\E|\Q$pair\E|\Q$user\E/, 'nor an echo';
        is $t->get('/', socket => $r->socket)->status, 200, 'another follows';
    }
}


my @head = ([ 'Set-Cookie', 'a=1' ], [ 'set-cookie', 'b=2' ],
    [ 'WWW-Authenticate', 'Basic' ], [ 'www-authenticate', 'Bearer' ],
    [ 'Server', 'sim' ], [ 'X-Hidden', 'h' ]);
for my $status (200, 401, 500) {
    for my $place ('/', '/passing/') {
        $r = answer($place, status => $status, headers => \@head);
        is $r->status, $status, "$status, $place";
        is_deeply [ $r->headers('Set-Cookie') ], [], 'no cookie';
        is_deeply [ $r->headers('WWW-Authenticate') ], [], 'no challenge';
    }
    is $r->header('Server'), 'sim', 'proxy_pass_header of others works';
    is $r->header('X-Hidden'), undef, 'and proxy_hide_header';
}

for (401, 500) {
    $r = answer('/problem/', status => $_, headers => \@head);
    is $r->status, 502, "$_, a problem";
    is_deeply [ map { $r->headers($_->[0]) } grep { $_->[0] ne 'Server' }
            @head ], [], 'none of these';
}
$t->expect_log(qr/\[error\].*idpay: "generic" refused the gateway's credential/);

done_testing;
